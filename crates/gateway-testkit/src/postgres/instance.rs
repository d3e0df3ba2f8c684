//! A throwaway server: made, killed, started again, followed by a standby. It ends with the process that
//! started it, however that ends.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::{
    column, execute,
    programs::{Programs, must},
};

/// Waits for its standard input to end, as it does with the process that holds the other end; then ends
/// the server, and removes its folder unless it was told to keep it.
const WATCHDOG: &str = r#"folder=$1; shift
"$@" >>"$folder/log" 2>&1 </dev/null &
server=$!
read -r word
kill -QUIT "$server" 2>/dev/null
wait "$server"
[ "$word" = keep ] || rm -rf "$folder""#;
const USER: &str = "interlingua";
const PASSWORD: &str = "throwaway";
/// A start may have to wait for what a killed server has left, and to read its log again.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A throwaway server.
pub struct Instance {
    programs: Programs,
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    watchdog: Option<Child>,
}

impl Instance {
    /// Makes one, and starts it.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with settings such as `max_connections=20`.
    #[must_use]
    pub fn with(settings: &[&str]) -> Self {
        let mut server = Self::empty(free_port());
        server.settings.extend(settings.iter().map(|&setting| setting.to_owned()));
        let password = server.folder.join("password");
        fs::write(&password, PASSWORD).unwrap();
        server.programs.give(&password);
        must(
            server
                .programs
                .command("initdb")
                .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "-U", USER])
                .arg(format!("--pwfile={}", password.display()))
                .arg(server.data()),
        );
        server.restart();
        server
    }

    /// Makes a server that follows another one, and starts it: from then on, what the other one
    /// acknowledges is on both.
    #[must_use]
    pub fn standby(primary: &Self) -> Self {
        Self::standby_at(primary, free_port())
    }

    /// The same at a port, such as that of a server that has been dropped.
    #[must_use]
    pub fn standby_at(primary: &Self, port: u16) -> Self {
        let mut server = Self::empty(port);
        server.settings.clone_from(&primary.settings);
        must(
            server
                .programs
                .command("pg_basebackup")
                .args(["--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream", "--no-sync"])
                .args(["-d", &primary.url(), "-D"])
                .arg(server.data()),
        );
        server.restart();
        execute(&primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'").unwrap();
        execute(&primary.url(), "SELECT pg_reload_conf()").unwrap();
        wait_until("the standby follows", || {
            let following = column(
                &primary.url(),
                "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'",
            );
            following.is_ok_and(|states| states == ["sync"])
        });
        server
    }

    /// A folder, and nothing in it.
    fn empty(port: u16) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let programs = Programs::find();
        let name = format!("interlingua-pg-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        programs.give(&folder);
        Self { programs, folder, port, settings: Vec::new(), watchdog: None }
    }

    /// Where it is, with who may enter.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts it again, and waits until it answers.
    pub fn restart(&mut self) {
        assert!(self.watchdog.is_none(), "the server runs");
        let begun = Instant::now();
        loop {
            self.watchdog = Some(self.launch());
            while begun.elapsed() < PATIENCE {
                if execute(&self.url(), "SELECT 1").is_ok() {
                    return;
                }
                std::thread::sleep(PAUSE);
                // What a killed server has left may keep the next one from starting, for a moment.
                if !self.is_up() {
                    break;
                }
            }
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start:\n{log}");
            self.release();
        }
    }

    fn launch(&self) -> Child {
        let server = self.programs.command("postgres");
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG, "sh"])
            .arg(&self.folder)
            .arg(server.get_program())
            .args(server.get_args());
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.folder);
        command.args([
            "-p",
            &self.port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "max_connections=200",
        ]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        // A group of its own: what ends the test's does not end the watchdog.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.current_dir("/").spawn().unwrap()
    }

    /// Whether the process that was launched is still there.
    fn is_up(&self) -> bool {
        self.watchdog.as_ref().is_some_and(|watchdog| !children(watchdog.id()).is_empty())
    }

    /// Ends the watchdog of a server that is gone, or ends with it.
    fn release(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            // Where it is gone already there is nobody to tell.
            watchdog.stdin.take().map(|mut told| told.write_all(b"keep\n").ok());
            watchdog.wait().unwrap();
        }
    }

    /// Kills it with all its processes, as a crash would.
    pub fn kill(&mut self) {
        let watchdog = self.watchdog.as_ref().expect("the server runs");
        let mut doomed = children(watchdog.id());
        let main = doomed.clone();
        doomed.extend(main.into_iter().flat_map(children));
        let doomed: Vec<_> = doomed.iter().map(ToString::to_string).collect();
        // Those that have ended meanwhile are told of, and that is all.
        Command::new("kill").arg("-KILL").args(&doomed).stderr(Stdio::null()).status().unwrap();
        wait_until("it is gone", || doomed.iter().all(|id| !is_alive(id.as_str())));
        self.release();
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        self.release();
    }

    /// Makes a standby the one that is written to.
    pub fn promote(&self) {
        assert_eq!(column(&self.url(), "SELECT pg_promote()").unwrap(), ["t"]);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        match self.watchdog.take() {
            Some(mut watchdog) => {
                drop(watchdog.stdin.take());
                watchdog.wait().ok();
            }
            None => fs::remove_dir_all(&self.folder).unwrap_or_default(),
        }
    }
}

/// A port that nobody has now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Parent and state of a process.
fn stat(id: &str) -> Option<(u32, char)> {
    let text = fs::read_to_string(Path::new("/proc").join(id).join("stat")).ok()?;
    // The name stands in parentheses, and may hold blanks.
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    let state = rest.next()?.chars().next()?;
    Some((rest.next()?.parse().ok()?, state))
}

fn is_alive(id: &str) -> bool {
    stat(id).is_some_and(|(_, state)| state != 'Z')
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let ids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let own = ids.filter(|id| stat(id).is_some_and(|(of, state)| of == parent && state != 'Z'));
    own.filter_map(|id| id.parse().ok()).collect()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}
