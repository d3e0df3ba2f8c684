//! An import that is killed, interrupted or left alone by its gateway: every line is in exactly once, in
//! the end.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tests::{
    Bed, Process,
    lines::{command, emails, export, file, import, import_from_pipe, people},
    partner,
};

const IO_FAILURE: Option<i32> = Some(74);
const INTERRUPTED: Option<i32> = Some(130);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What an import has noted of how far it came; nothing until it has, and once it is done.
fn noted(path: &Path) -> Vec<u8> {
    fs::read(path.with_extension("jsonl.state")).unwrap_or_default()
}

/// Waits until an import has noted something new, or has ended; false where it has ended.
fn comes_on(child: &mut Child, path: &Path, before: &[u8]) -> bool {
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let now = noted(path);
        if !now.is_empty() && now != before {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn begin(bed: &Bed, path: &Path) -> Child {
    command(bed, "import", &[&path.to_string_lossy()]).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Every line is in, and none twice.
fn is_whole(bed: &Bed, count: u32) {
    let mut expected: Vec<_> = (0..count).map(|number| format!("user.{number}@example.com")).collect();
    expected.sort();
    let mut found = emails(&export(bed));
    found.retain(|email| email.starts_with("user."));
    assert!(found == expected, "{} of {count} users", found.len());
}

#[test]
fn killed_twenty_times_it_makes_every_user_once() {
    const COUNT: u32 = 20_000;
    let bed = Bed::new();
    let path = file(&bed, "users.jsonl", people(COUNT));
    let mut kills = 0;
    for _ in 0..20 {
        let before = noted(&path);
        let mut child = begin(&bed, &path);
        let is_under_way = comes_on(&mut child, &path, &before);
        if is_under_way {
            kills += 1;
        }
        // Gone already, where it has ended.
        child.kill().ok();
        let ended = child.wait_with_output().unwrap();
        if !is_under_way {
            assert!(ended.status.success(), "{}", text(&ended.stderr));
            break;
        }
    }
    assert!(kills > 2, "killed {kills} times");
    let done = import(&bed, &path);
    assert!(done.status.success(), "{}", text(&done.stderr));
    is_whole(&bed, COUNT);
    assert!(noted(&path).is_empty(), "what is done is forgotten");
    // From the beginning, with nothing to go on from: all are known.
    let again = import(&bed, &path);
    assert!(text(&again.stdout).contains(&format!(" 0 created, {COUNT} already there, 0 refused")));
}

#[test]
fn interrupted_it_says_so_and_goes_on() {
    const COUNT: u32 = 10_000;
    let bed = Bed::new();
    let path = file(&bed, "users.jsonl", people(COUNT));
    let mut child = begin(&bed, &path);
    assert!(comes_on(&mut child, &path, b""));
    signal(&child, "-INT");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), INTERRUPTED, "{}", text(&ended.stderr));
    assert!(text(&ended.stderr).contains("interrupted"));
    let done = import(&bed, &path);
    assert!(done.status.success() && text(&done.stderr).contains("goes on after line"));
    // What the first run counted is counted.
    assert!(
        text(&done.stdout).contains(&format!("{COUNT} lines, {COUNT} created, 0 already there, 0 refused"))
    );
    is_whole(&bed, COUNT);

    // A pipe that nobody closes does not hold it up.
    let child = import_from_pipe(&bed, &people(1_000));
    thread::sleep(Duration::from_millis(100));
    signal(&child, "-TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), INTERRUPTED);
}

#[test]
fn an_input_that_changed_is_read_from_its_beginning() {
    const COUNT: u32 = 3_000;
    let bed = Bed::new();
    let people = people(COUNT);
    let path = file(&bed, "users.jsonl", format!("{people}{{\"bio\":1}}\n"));
    let mut child = begin(&bed, &path);
    if comes_on(&mut child, &path, b"") {
        signal(&child, "-KILL");
    }
    child.wait_with_output().unwrap();
    // The first line is another, the last is mended; both have the numbers that they had.
    let (_, rest) = people.split_once('\n').unwrap();
    file(&bed, "users.jsonl", format!("{{\"email\":\"late@example.com\"}}\n{rest}{{\"bio\":\"1\"}}\n"));
    let done = import(&bed, &path);
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    assert!(!text(&done.stderr).contains("goes on"));
    assert_eq!(export(&bed).lines().count(), COUNT as usize + 2);
}

#[test]
fn requests_are_served_beside_an_import_and_a_gateway_that_dies_costs_nothing() {
    const COUNT: u32 = 6_000;
    let bed = Bed::new();
    let path = file(&bed, "users.jsonl", people(COUNT));
    let process = Process::start(&bed);
    let over = AtomicBool::new(false);
    let served = thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|client| {
                let (process, over) = (&process, &over);
                scope.spawn(move || {
                    let mut served = 0;
                    while !over.load(Ordering::Relaxed) {
                        let id = format!("{client}-{served}");
                        for (request, status) in [
                            (partner::create(&id, None), 201),
                            (partner::update(&id, None, "Ghent"), 200),
                            (partner::read(&id), 200),
                        ] {
                            let answer = process.send(&request).unwrap();
                            assert_eq!(answer.status, status, "{}", text(&answer.body));
                        }
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        let mut child = begin(&bed, &path);
        assert!(comes_on(&mut child, &path, b""));
        let other = command(&bed, "verify", &[]).output().unwrap();
        assert_eq!(other.status.code(), IO_FAILURE, "{}", text(&other.stdout));
        assert!(text(&other.stderr).contains("at work for another command"));
        let ended = child.wait_with_output().unwrap();
        over.store(true, Ordering::Relaxed);
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        clients.into_iter().map(|client| client.join().unwrap()).sum::<u32>()
    });
    assert!(served > 0);
    is_whole(&bed, COUNT);

    let more = file(&bed, "more.jsonl", people(2 * COUNT).replace("\"externalId\":\"", "\"externalId\":\"x"));
    let more_people =
        fs::read_to_string(&more).unwrap().replace("\"0000", "\"0001").replace("user.", "more.");
    fs::write(&more, more_people).unwrap();
    let mut child = begin(&bed, &more);
    assert!(comes_on(&mut child, &more, b""));
    process.kill();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), IO_FAILURE, "{}", text(&ended.stderr));
    let process = Process::start(&bed);
    let done = import(&bed, &more);
    assert!(done.status.success() && text(&done.stderr).contains("goes on"), "{}", text(&done.stderr));
    let users = export(&bed);
    let mut found = emails(&users);
    found.retain(|email| email.starts_with("more."));
    found.dedup();
    assert_eq!(found.len(), 2 * COUNT as usize);
    assert_eq!(users.lines().count(), 3 * COUNT as usize + served as usize + 1, "none is there twice");
    let (status, log) = process.stop();
    assert!(status.success() && !log.contains("@example.com"));
}
