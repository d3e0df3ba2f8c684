//! Every conformance case of every dialect, in this process and over a socket.

use gateway_testkit::cases::{self, Transport, generalize};
use tests::{Bed, Inside, Process, dialects, now, root, service};

const MOUNTS: &str = include_str!("../src/mounts.toml");

async fn run_all(transport: &impl Transport, run: &str) {
    run_all_but(&[], transport, run).await;
}

/// The same, where some cases cannot hold: each of them fails.
async fn run_all_but(exceptions: &[(&str, &str)], transport: &impl Transport, run: &str) {
    let (mut complaints, mut excepted) = (Vec::new(), Vec::new());
    for (dialect, files) in dialects() {
        for (name, file) in &files {
            for case in &file.case {
                let ran = cases::run(file, case, run, transport, now()).await;
                let complaint: String = ran.iter().map(|ran| ran.complaint.as_str()).collect();
                if !complaint.is_empty() && exceptions.contains(&(&dialect, &case.name)) {
                    excepted.push((dialect.clone(), case.name.clone()));
                } else if !complaint.is_empty() {
                    complaints.push(format!("{dialect}/cases/{name}: {}\n{complaint}", case.name));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{} cases fail:\n\n{}", complaints.len(), complaints.join("\n"));
    assert_eq!(excepted.len(), exceptions.len(), "only these fail: {excepted:?}");
}

#[tokio::test]
async fn in_process() {
    run_all(&Inside::new(&Bed::new()), "in").await;
}

#[tokio::test]
async fn over_a_socket_on_the_embedded_store() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    run_all(&process.socket(), "net").await;
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn over_a_socket_on_postgres() {
    let bed = Bed::on_postgres();
    let process = Process::start(&bed);
    run_all(&process.socket(), "net").await;
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn over_a_socket_in_front_of_another_gateway() {
    let behind = Bed::new();
    let behind = Process::start(&behind);
    let url = service::base(behind.address);
    let bed = Bed::over_upstream(MOUNTS, &url, service::GATEWAY, "");
    let process = Process::start(&bed);
    run_all(&process.socket(), "net").await;
    assert_eq!(process.metric("interlingua_upstream_records"), Some(1));
    for process in [process, behind] {
        let (status, log) = process.stop();
        assert!(status.success(), "{log}");
    }
}

/// A client without the scope for records gets JSON documents. They have rules of their own: in Canada no postal
/// code is American, which the jsonpatch dialect lets stand.
const NOT_IN_DOCUMENTS: [(&str, &str); 4] = [
    ("dialect-jsonpatch", "leaving-the-us"),
    ("dialect-jsonpatch", "leaving-the-us-and-coming-back"),
    ("dialect-jsonpatch", "leaving-the-us-by-the-book"),
    ("dialect-jsonpatch", "leaving-the-us-clearing-first"),
];

#[tokio::test]
async fn over_a_socket_in_front_of_documents() {
    let behind = Bed::new();
    let behind = Process::start(&behind);
    let url = service::base(behind.address);
    let bed = Bed::over_upstream(MOUNTS, &url, service::ADMIN, "");
    let process = Process::start(&bed);
    run_all_but(&NOT_IN_DOCUMENTS, &process.socket(), "net").await;
    assert_eq!(process.metric("interlingua_upstream_records"), Some(0));
    for process in [process, behind] {
        let (status, log) = process.stop();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn cases_are_many_and_each_says_why() {
    for (dialect, files) in dialects() {
        let least = if dialect == "dialect-partner" { 120 } else { 60 };
        let mut names: Vec<_> =
            files.iter().flat_map(|(_, file)| &file.case).map(|case| case.name.clone()).collect();
        let count = names.len();
        assert!(count >= least, "{dialect} has {count} cases");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{dialect} has two cases of one name");
        for (name, file) in &files {
            for case in &file.case {
                assert!(case.why.len() > 10 && !case.step.is_empty(), "{name}: {}", case.name);
            }
        }
    }
}

/// Rewrites the expected answers with what the gateway answers now: `INTERLINGUA_UPDATE=1`.
#[tokio::test]
async fn rewrite() {
    if std::env::var_os("INTERLINGUA_UPDATE").is_none() {
        return;
    }
    let gateway = Inside::new(&Bed::new());
    for (dialect, files) in dialects() {
        for (name, file) in &files {
            let path = root().join("crates").join(&dialect).join("cases").join(name);
            let mut document: toml_edit::DocumentMut =
                std::fs::read_to_string(&path).unwrap().parse().unwrap();
            for (at, case) in file.case.iter().enumerate() {
                let ran = cases::run(file, case, "up", &gateway, now()).await;
                for (step, ran) in ran.iter().skip(case.given.len()).enumerate() {
                    let Some(answer) = &ran.answer else { continue };
                    let table = &mut document["case"][at]["step"][step];
                    table["status"] = toml_edit::value(i64::from(answer.status));
                    let body =
                        generalize(&String::from_utf8_lossy(&answer.body), &format!("up-{}", case.name));
                    let literal = format!("'''{body}'''").parse::<toml_edit::Value>().unwrap();
                    table["answer"] = toml_edit::Item::Value(literal);
                }
            }
            std::fs::write(&path, document.to_string()).unwrap();
        }
    }
}
