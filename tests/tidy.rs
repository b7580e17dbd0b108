//! The rules of the house that a compiler does not know: who may name whom, and which door leads outside.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in reading order, which is dependency order: a room names those before it.
const ROOMS: [&str; 10] =
    ["sync", "wire", "topology", "ring", "buf", "shard", "actor", "connection", "server", "sim"];
/// Rooms that are strangers to every other but `sync`; `wire` and `topology` do without even that.
const STRANGERS: [&str; 3] = ["wire", "topology", "ring"];

/// What leads outside, and where alone it may be named. Text in comments does not count.
const DOORS: [(&str, &[&str]); 7] = [
    ("std::sync::atomic", &["src/sync.rs"]),
    ("std::cell::UnsafeCell", &["src/sync.rs"]),
    ("glommio::", &["src/shard/uring/"]),
    ("io_uring::", &["src/shard/uring/"]),
    ("hwloc2::", &["src/topology/"]),
    ("Instant::now", &["src/server/mod.rs", "src/sim/treadmill/"]),
    ("unsafe {", &["src/ring/", "src/buf/", "src/shard/uring/"]),
];

#[test]
fn a_room_names_only_rooms_before_it() {
    for (path, text) in sources("src") {
        let Some(room) = room_of(&path) else { continue };
        for (number, line) in code_lines(&text) {
            for named in line.split("crate::").skip(1).filter_map(room_named) {
                let known = if STRANGERS.contains(&ROOMS[room]) { 1 } else { room };
                assert!(
                    named == room || named < known,
                    "{}:{number}: `{}` names `{}`, which is not before it; see the layering rule in ARCHITECTURE.md",
                    path.display(),
                    ROOMS[room],
                    ROOMS[named]
                );
            }
        }
    }
}

#[test]
fn each_door_is_used_only_where_it_belongs() {
    for (path, text) in sources("src") {
        for (number, line) in code_lines(&text) {
            for (door, places) in DOORS {
                let belongs = places.iter().any(|place| path.starts_with(place.trim_end_matches('/')));
                assert!(
                    belongs || !line.contains(door),
                    "{}:{number}: `{door}` belongs into {places:?}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for root in ["src", "actors", "tests", "loom-tests", "examples", "benches"] {
        for (path, text) in sources(root) {
            assert!(text.starts_with("//!"), "{} must open with `//!` and say what it is", path.display());
        }
    }
}

#[test]
fn every_path_in_the_architecture_exists() {
    let text = fs::read_to_string("ARCHITECTURE.md").expect("ARCHITECTURE.md is in the repository");
    let mut paths = 0;
    for quoted in text.split('`').skip(1).step_by(2) {
        let is_path =
            quoted.contains('/') && !quoted.contains([' ', ':', '<', '(']) && !quoted.starts_with('/');
        if is_path {
            paths += 1;
            assert!(Path::new(quoted).exists(), "ARCHITECTURE.md speaks of `{quoted}`, which is not there");
        }
    }
    assert!(paths > 10, "only {paths} paths were found: has the way they are written changed?");
}

#[test]
fn the_readme_shows_the_minimal_example() {
    let readme = fs::read_to_string("README.md").expect("README.md is in the repository");
    let example = fs::read_to_string("examples/minimal.rs").expect("the example is in the repository");
    let code = example.split_once("\n\n").expect("a line of documentation, then the code").1;
    assert!(readme.contains(code), "README.md's code is not examples/minimal.rs any more");
}

fn sources(root: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("tests run in the repository's root") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{root} has no sources");
    found
}

/// Lines that are not comments, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    (1..).zip(text.lines()).filter(move |(_, line)| is_code(line))
}

/// Where in [`ROOMS`] a file is; `lib.rs` is in none.
fn room_of(path: &Path) -> Option<usize> {
    let first = path.components().nth(1)?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    ROOMS.iter().position(|room| *room == name)
}

fn room_named(after_crate: &str) -> Option<usize> {
    let name = after_crate.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    ROOMS.iter().position(|room| *room == name)
}
