//! Where in a value something is wrong: from the column that serde_json tells to a path that people can follow.
//!
//! Does not know: what is wrong. Is called only when something is, so that nobody pays for it otherwise.

use std::fmt::Write;

/// The path to what ends at this line and column (both from 1, in bytes) of `json`, such as `items[3].name`; empty for the
/// value itself. Of what is no JSON, as far as it can be followed.
pub(super) fn path_to(json: &str, line: usize, column: usize) -> String {
    let before: usize = json.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = before.saturating_add(column).saturating_sub(1).min(json.len());
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut string = None; // where the one begins that we are in
    let mut is_escaped = false;
    for (at, byte) in json.bytes().enumerate().take(end) {
        if let Some(begin) = string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => {
                    if let Some(Step::Field { name, is_known: is_known @ false }) = steps.last_mut() {
                        (*name, *is_known) = (json.get(begin..at).unwrap_or_default(), true);
                    }
                    string = None;
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => string = Some(at + 1),
            b'{' => steps.push(Step::Field { name: "", is_known: false }),
            b'[' => steps.push(Step::Item(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Field { is_known, .. }) => *is_known = false,
                Some(Step::Item(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
    }
    // What ends here is the whole of it, and not the last that is in it.
    if matches!(json.as_bytes().get(end), Some(b'}' | b']')) && string.is_none() {
        steps.pop();
    }
    write(&steps)
}

enum Step<'a> {
    /// In an object, after the field of this name, or before it if it is not known yet.
    Field { name: &'a str, is_known: bool },
    /// In a list.
    Item(usize),
}

fn write(steps: &[Step<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Field { is_known: false, .. } => break,
            Step::Field { name, .. } if path.is_empty() => path.push_str(name),
            Step::Field { name, .. } => drop(write!(path, ".{name}")), // a String takes all
            Step::Item(index) => drop(write!(path, "[{index}]")),
        }
        if path.len() > PATH_BYTES_MAX {
            path.truncate(path.floor_char_boundary(PATH_BYTES_MAX));
            path.push('…');
            break;
        }
    }
    path
}

/// Names are the client's, so they may be long.
const PATH_BYTES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::path_to;

    #[test]
    fn a_path_leads_to_what_ends_at_the_column() {
        let json = r#"{"a": 1, "b": [{"c d": "x"}, {"e\"": true}], "f": {}}"#;
        for (end, path) in [
            ("1", "a"),
            ("\"x\"", "b[0].c d"),
            ("{\"c d\": \"x\"}", "b[0]"),
            ("true", "b[1].e\\\""),
            ("true}", "b[1]"),
            ("true}]", "b"),
            (json, ""),
        ] {
            let column = json.find(end).unwrap() + end.len();
            assert_eq!(path_to(json, 1, column), path, "{end}");
            assert_eq!(path_to(&format!("\n\n{json}"), 3, column), path, "{end}, on a third line");
        }
    }

    #[test]
    fn what_is_no_json_and_no_place_in_it_does_no_harm() {
        for json in ["", "{", "]]]}", "{\"", "{,,,", "[[[[,", "\"\\", "{\"ä\":{\"ö\":"] {
            for (line, column) in [(0, 0), (1, 0), (1, 1), (1, 4), (1, 1000), (7, 7), (usize::MAX, 1)] {
                path_to(json, line, column);
            }
        }
        let long = format!("{{\"{}\":1}}", "ä".repeat(1000));
        assert!(path_to(&long, 1, long.len() - 1).len() <= 110);
    }
}
