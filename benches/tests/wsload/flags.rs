//! What cannot be is refused, and it is told whose it is to mend.

use crate::peer::echo;
use crate::run::{check_complaint, number, report};
use rustix::thread::{CpuSet, sched_getaffinity};
use std::process::Command;

#[test]
fn flags_that_make_no_sense_are_refused() {
    for (mode, flags) in [
        ("echo", &["-c", "0"][..]),
        ("echo", &["-i", "0"]),
        ("echo", &["-d", "0"]),
        ("echo", &["--rate", "-1"]),
        ("echo", &["--rate", "100", "-i", "2"]),
        ("broadcast", &["-r", "0"]),
        ("broadcast", &["-c", "2", "-r", "3"]),
        ("broadcast", &["-r", "3", "--room-path", "/room"]),
        ("idle", &["--pid", "1", "--from", "10", "--to", "10"]),
    ] {
        check_complaint(mode, "127.0.0.1:1", flags, 2, "");
    }
    check_complaint("echo", "wss://127.0.0.1:1/", &[], 2, "TLS");
    check_complaint("echo", "127.0.0.1", &[], 2, "the server `127.0.0.1`");
}

#[test]
fn a_url_says_where_and_which_path() {
    let address = echo(|_, _, _| ());
    let report = report("echo", &format!("ws://{address}/a/b?c=d"), &["-c", "1", "-d", "0.1", "-w", "0"]);
    assert_eq!(report["server"]["address"], address);
}

#[test]
fn a_process_that_is_not_there_is_told() {
    check_complaint("echo", "127.0.0.1:1", &["--pid", "4194305"], 3, "process 4194305");
}

#[test]
fn it_binds_itself_to_a_core_that_there_is() {
    let allowed = sched_getaffinity(None).expect("Linux tells");
    let core =
        (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)).expect("this runs somewhere").to_string();
    let address = echo(|_, _, _| ());
    let report = report("echo", &address, &["-c", "1", "-d", "0.1", "-w", "0", "--pin", &core]);
    assert!(number(&report, "messages") > 0.0);
    check_complaint("echo", &address, &["--pin", "1023"], 3, "cannot be pinned to core 1023");
    check_complaint("echo", &address, &["--pin", "99999"], 3, "cannot be pinned to core 99999");
}

#[test]
fn the_soft_limit_of_open_files_is_raised_and_a_hard_one_told() {
    let address = echo(|_, _, _| ());
    let limited = |limit: &str| {
        let script = format!("ulimit {limit} && exec \"$0\" echo {address} -c 100 -d 0.1 -w 0");
        let output = Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_wsload")]).output();
        let output = output.expect("there is a shell");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(limited("-Sn 40"), (Some(0), String::new()));
    let (status, complaint) = limited("-n 80");
    assert!(status == Some(3) && complaint.contains("the hard limit is 80"), "{status:?}: {complaint}");
}
