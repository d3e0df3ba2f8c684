//! Bad inputs of the validation webhook: each has a gateway of its own, under watch.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc, Condvar, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use gateway::{
    config::{self, Overrides},
    webhook::{keys::SIGNATURE, receiver::Answer},
};
use gateway_testkit::client::{self, RawResponse};
use serde_json::Value;
use uuid::Uuid;

use super::judge::status_and_code;
use crate::{
    Bed, Party, Process, Watched,
    hook::{self, Hook},
    unreachable,
};

/// What is written, and must be in no log.
const TEXT: &str = "a bio that nobody may see";

/// A gateway with a user in it.
struct Scene {
    bed: Bed,
    watched: Watched,
    user: Uuid,
}

impl Scene {
    fn new(config: &str) -> Result<Self, String> {
        let bed = Bed::with(config);
        let mut watched = Watched::start(&bed);
        watched.mark(TEXT);
        watched.mark(hook::SECRET);
        let user = Uuid::new_v4();
        is(&watched.process().send(&Party::Update.create(user, Uuid::new_v4()))?, "201")?;
        Ok(Self { bed, watched, user })
    }

    fn update(&self) -> Result<RawResponse, String> {
        self.watched.process().send(&hook::update(self.user, None, TEXT))
    }

    fn bio(&self) -> Result<Value, String> {
        let read = self.watched.process().send(&Party::Update.read(self.user))?;
        let body: Value = serde_json::from_slice(&read.body).map_err(|error| error.to_string())?;
        Ok(body["bio"].clone())
    }

    /// An update has this answer; it is written where that is 200, and nothing is otherwise.
    fn expect(&self, expected: &str) -> Result<RawResponse, String> {
        let before = self.watched.written();
        let answer = self.update()?;
        is(&answer, expected)?;
        let body = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 && body.contains(TEXT) {
            return Err(format!("the refusal holds the text: {body}"));
        }
        let (commits, due) =
            (self.watched.written().commits - before.commits, u64::from(answer.status == 200));
        if commits != due || (self.bio()? == TEXT) != (due == 1) {
            return Err(format!("{commits} commits instead of {due}, and the bio is {}", self.bio()?));
        }
        Ok(answer)
    }

    fn end(self) -> Result<(), String> {
        let complaints = self.watched.stop();
        complaints.is_empty().then_some(()).ok_or_else(|| complaints.join("; "))
    }
}

fn is(answer: &RawResponse, expected: &str) -> Result<(), String> {
    let found = status_and_code(answer);
    (found == expected).then_some(()).ok_or_else(|| format!("{found} instead of {expected}"))
}

/// Runs a script by its name and what it is about.
pub(super) fn run(name: &str, about: &str) -> Option<Result<(), String>> {
    Some(match name {
        "webhook_answers" => answers(about),
        "webhook_is" => is_unreachable(about),
        "webhook_url" => is_no_url(about),
        "webhook_late" => late(),
        "webhook_client_gone" => client_gone(),
        "webhook_crowd" => crowd(),
        "webhook_calls_back" => calls_back(),
        "webhook_rotates" => rotates(),
        "webhook_sees" => sees(),
        "webhook_goes" => goes(),
        "webhook_killed" => killed(),
        _ => return None,
    })
}

const FAILED: &str = "500 user/server-error";
/// A budget for those who use it up.
const SOON: &str = "timeout_ms = 200";

/// `ANSWER = STATUS CODE`
fn answers(about: &str) -> Result<(), String> {
    let (answer, expected) = about.rsplit_once(" = ").ok_or("no ` = `")?;
    let answer: Answer = answer.parse()?;
    let hook = Hook::start(move |_| answer.clone());
    let more = if expected == FAILED { SOON } else { "" };
    let scene = Scene::new(&hook.bed(more))?;
    scene.expect(expected)?;
    if hook.asked().is_empty() {
        return Err("nobody was asked".into());
    }
    scene.end()
}

/// A webhook that cannot be reached, or not be believed.
fn is_unreachable(about: &str) -> Result<(), String> {
    let (url, ca, _kept) = match about {
        "refused" => (format!("http://{}", unreachable::refused()), None, None),
        "a black hole" => {
            let hole = unreachable::BlackHole::dig();
            (format!("http://{}", hole.address), None, Some(hole))
        }
        "no name" => ("http://no-such-host.invalid".to_owned(), None, None),
        "expired" | "self-signed" => {
            let (port, issuer) = unreachable::tls(about == "expired");
            // The one that is expired is of an issuer that is believed.
            (format!("https://localhost:{port}"), (about == "expired").then_some(issuer), None)
        }
        other => return Err(format!("nothing is {other}")),
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let ca = ca.map_or_else(String::new, |pem: String| {
        file.write_all(pem.as_bytes()).unwrap();
        format!("ca = \"{}\"\n", file.path().display())
    });
    let secret = hook::SECRET;
    let scene = Scene::new(&hook::bed(&format!(
        "url = \"{url}/\"\nallow_private = true\nsecret = \"{secret}\"\n{SOON}\n{ca}"
    )))?;
    scene.expect(FAILED)?;
    if url.starts_with("https") {
        let is_told = |process: &Process| process.output().contains("webhook_tls");
        scene.watched.process().wait_until("the log says why", is_told);
    }
    scene.end()
}

/// A URL that the configuration refuses, with its line.
fn is_no_url(url: &str) -> Result<(), String> {
    let quoted = serde_json::to_string(url).map_err(|error| error.to_string())?;
    let bed = Bed::with(&hook::bed(&format!("url = {quoted}\nsecret = \"{}\"", hook::SECRET)));
    match config::load(&bed.config(), &Overrides::default()) {
        Ok(_) => Err("it was taken".into()),
        Err(report) => {
            let text = report.to_string();
            let is_told =
                text.contains("error: `url` ") && text.contains("^^^") && text.contains(": 1 mistake");
            is_told.then_some(()).ok_or(text)
        }
    }
}

/// Approval that comes after the budget is nothing.
fn late() -> Result<(), String> {
    let hook = Hook::start(|_| Answer::Slow(Duration::from_millis(400)));
    let scene = Scene::new(&hook.bed(SOON))?;
    scene.expect(FAILED)?;
    std::thread::sleep(Duration::from_millis(400));
    (scene.bio()? == Value::Null).then_some(()).ok_or("a late approval was taken")?;
    scene.end()
}

/// A door that is opened by hand.
#[derive(Default)]
pub(crate) struct Door {
    is_open: Mutex<bool>,
    turned: Condvar,
}

impl Door {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.turned.notify_all();
    }

    pub(crate) fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        let long = Duration::from_secs(20);
        let (is_open, _) = self.turned.wait_timeout_while(is_open, long, |is_open| !*is_open).unwrap();
        assert!(*is_open, "nobody came");
    }
}

/// A webhook that opens a door when it is asked, and approves once another is open.
fn held() -> (Hook, Arc<Door>, Arc<Door>) {
    let (asked, answer) = (Arc::new(Door::default()), Arc::new(Door::default()));
    let (came, waits) = (Arc::clone(&asked), Arc::clone(&answer));
    let hook = Hook::start(move |_| {
        came.open();
        waits.pass();
        Answer::approve()
    });
    (hook, asked, answer)
}

/// A client that closes its connection may have done no more than stop sending: its request is done,
/// once it is approved, and whole.
fn client_gone() -> Result<(), String> {
    let (hook, asked, answer) = held();
    let scene = Scene::new(&hook.bed(""))?;
    let (before, process) = (scene.watched.written(), scene.watched.process());
    hook::send_and_leave(process.address, &hook::update(scene.user, None, TEXT), || asked.pass());
    if scene.bio()? != Value::Null || scene.watched.written() != before {
        return Err("it was done before it was approved".into());
    }
    answer.open();
    process.wait_until("it was done", |_| scene.watched.written().commits > before.commits);
    let is_once = scene.watched.written().commits == before.commits + 1 && hook.asked().len() == 1;
    (is_once && scene.bio()? == TEXT).then_some(()).ok_or("it was not done once, and whole")?;
    scene.end()
}

/// So many ask at once, and no more than there are places.
fn crowd() -> Result<(), String> {
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&inside), Arc::clone(&most));
    let hook = Hook::start(move |_| {
        peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, SeqCst);
        Answer::approve()
    });
    let scene = Scene::new(&hook.bed("max_concurrent = 32"))?;
    let process = scene.watched.process();
    let users: Vec<_> = (0..200).map(|_| Uuid::new_v4()).collect();
    for user in &users {
        is(&process.send(&Party::Update.create(*user, Uuid::new_v4()))?, "201")?;
    }
    let before = scene.watched.written();
    let address = process.address;
    let send = |user: &Uuid| {
        let request = hook::update(*user, None, TEXT);
        std::thread::spawn(move || client::send(address, &request).map(|answer| answer.status))
    };
    let clients: Vec<_> = users.iter().map(send).collect();
    let statuses: Result<Vec<_>, _> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let statuses = statuses?;
    let done = statuses.iter().filter(|status| **status == 200).count();
    if done == 0 || !statuses.iter().all(|status| matches!(status, 200 | 503)) {
        return Err(format!("{statuses:?}"));
    }
    let commits = scene.watched.written().commits - before.commits;
    if commits != done as u64 || most.load(SeqCst) > 32 {
        return Err(format!("{commits} commits of {done}, {} at once", most.load(SeqCst)));
    }
    scene.end()
}

/// The webhook changes the same user itself, before it answers.
fn calls_back() -> Result<(), String> {
    let place: Arc<OnceLock<(SocketAddr, Uuid)>> = Arc::default();
    let (known, asks) = (Arc::clone(&place), AtomicUsize::new(0));
    let hook = Hook::start(move |_| {
        if asks.fetch_add(1, SeqCst) == 0 {
            let (address, user) = known.get().unwrap();
            let name = hook::update_with(*user, r#"{"update":{"name":"by the hook"}}"#);
            assert_eq!(client::send(*address, &name).unwrap().status, 200);
        }
        Answer::approve()
    });
    let scene = Scene::new(&hook.bed(""))?;
    place.set((scene.watched.process().address, scene.user)).unwrap();
    let before = scene.watched.written();
    let answer = scene.update()?;
    is(&answer, "200")?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    // The first, the hook's own, and the first again, since the user had moved.
    let asked = hook.asked().len();
    let is_both = body.contains("by the hook") && body.contains(TEXT);
    if !is_both || asked != 3 || scene.watched.written().commits - before.commits != 2 {
        return Err(format!("asked {asked} times: {body}"));
    }
    scene.end()
}

/// Two secrets sign both; the webhook has the newer one alone.
fn rotates() -> Result<(), String> {
    let secret = "other-partner-secret-0123456789abcdef";
    let hook =
        Hook::with_secret(
            secret,
            |asked| {
                if asked.is_signed { Answer::approve() } else { Answer::Status(401) }
            },
        );
    let both = format!("secret = [\"{}\", \"file:$DIR/other-secret\"]", hook::SECRET);
    let config = hook.bed("").replacen(&format!("secret = \"{}\"", hook::SECRET), &both, 1);
    let scene = Scene::new(&config)?;
    scene.expect("200")?;
    let asked = hook.asked();
    let signatures = asked[0].header(&SIGNATURE).map(|value| value.split(' ').count());
    (signatures == Some(2)).then_some(()).ok_or_else(|| format!("{signatures:?} signatures"))?;
    scene.end()
}

/// What changes, after sanitising, and nothing else.
fn sees() -> Result<(), String> {
    let hook = Hook::start(|_| Answer::approve());
    let scene = Scene::new(&hook.bed(""))?;
    let body = r#"{"update":{"secureMetadata":{"pin":1},"name":"Jane","role":"admin","username":"an n!","bio":"x"}}"#;
    is(&scene.watched.process().send(&hook::update_with(scene.user, body))?, "200")?;
    let asked = hook.asked();
    let told = String::from_utf8_lossy(&asked[0].body);
    // The name is what it was.
    let expected = r#"{"projectId":"proj1234","data":{"username":"ann","bio":"x"}}"#;
    (told == expected && asked.len() == 1).then_some(()).ok_or_else(|| format!("{told}"))?;
    scene.end()
}

/// The gateway is killed between approval and commit, and the client asks again: the webhook is asked
/// again, and there is one effect.
fn killed() -> Result<(), String> {
    let asked = Arc::new(Door::default());
    let (came, asks) = (Arc::clone(&asked), AtomicUsize::new(0));
    let hook = Hook::start(move |_| {
        if asks.fetch_add(1, SeqCst) > 0 {
            return Answer::approve();
        }
        came.open();
        Answer::Hang
    });
    let bed = Bed::with(&hook.bed(""));
    let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
    let process = Process::start(&bed);
    is(&process.send(&Party::Update.create(user, Uuid::new_v4()))?, "201")?;
    let (address, request) = (process.address, hook::update(user, Some(key), TEXT));
    let sent = request.clone();
    let client = std::thread::spawn(move || client::send(address, &sent));
    asked.pass();
    process.kill();
    if client.join().unwrap().is_ok() {
        return Err("it answered without an approval".into());
    }
    let process = Process::start(&bed);
    let commits = |process: &Process| process.metric("interlingua_store_commits_total");
    let before = commits(&process);
    let first = process.send(&request)?;
    is(&first, "200")?;
    let again = process.send(&request)?;
    is(&again, "200")?;
    let is_replay = again.header("idempotency-replayed") == Some("true") && again.body == first.body;
    let is_once = commits(&process) == before.map(|before| before + 1) && hook.asked().len() == 2;
    (is_replay && is_once).then_some(()).ok_or("it was not done once")?;
    Ok(())
}

/// The configuration loses its webhook while it is asked.
fn goes() -> Result<(), String> {
    let (hook, asked, answer) = held();
    let config = hook.bed("");
    let scene = Scene::new(&config)?;
    let (address, request) = (scene.watched.process().address, hook::update(scene.user, None, TEXT));
    let client = std::thread::spawn(move || client::send(address, &request));
    asked.pass();
    let without = config.split_once("[mount.webhook]").ok_or("no webhook")?.0;
    scene.bed.replace("interlingua.toml", without);
    scene.watched.process().hang_up();
    const LOADED: &str = r#"interlingua_config_reloads_total{outcome="ok"}"#;
    scene.watched.process().wait_until("it was loaded", |process| process.metric(LOADED) >= Some(1));
    answer.open();
    is(&client.join().unwrap()?, "200")?;
    // From now on nobody is asked.
    is(&scene.watched.process().send(&hook::update(scene.user, None, "other"))?, "200")?;
    (hook.asked().len() == 1).then_some(()).ok_or("it was asked after it was gone")?;
    scene.end()
}
