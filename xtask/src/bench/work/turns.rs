//! Programs that work in turn, one piece of work at a time.
//!
//! A machine that others use too can change its speed within seconds. So all programs of a round are
//! there at once, each waits while another works, and each time has those of the others right beside
//! it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::steps::{Result, Step};

/// What a program says when it has warmed up.
const READY: &str = "ready";

/// Threads that have worked look for more for some milliseconds before they sleep.
const PAUSE: Duration = Duration::from_millis(50);

/// A process that works once for each line that it is sent; it is killed when it is dropped before
/// its end.
#[derive(Debug)]
pub(super) struct Worker {
    command: String,
    child: Child,
    /// `None` once there is no more work.
    orders: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    /// What it has said so far.
    said: String,
}

impl Worker {
    /// Starts the command in `folder` and waits until it has warmed up. The command and what it says
    /// on standard error are shown on standard error.
    pub(super) fn start(words: &[String], folder: &Path) -> Result<Self> {
        let plain: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = Step::new(&plain).to_string();
        eprintln!("$ {command}");
        let child = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| format!("cannot run `{}`: {error}", words[0]))?;
        let (orders, lines) = (child.stdin.take(), child.stdout.take());
        let lines = BufReader::new(lines.ok_or("a process without standard output")?);
        let mut worker = Self { command, child, orders, lines, said: String::new() };
        while worker.line()? != READY {}
        Ok(worker)
    }

    /// Has the work done once.
    pub(super) fn work(&mut self) -> Result<()> {
        std::thread::sleep(PAUSE);
        let sent = self.orders.as_mut().map(|orders| orders.write_all(b"work\n"));
        if !matches!(sent, Some(Ok(()))) {
            return Err(self.failure());
        }
        self.line().map(drop)
    }

    /// Says that there is no more work, and gives back all that the program said.
    pub(super) fn finish(mut self) -> Result<String> {
        self.orders = None;
        let rest = self.lines.read_to_string(&mut self.said);
        let status = self.child.wait();
        if rest.is_ok() && status.is_ok_and(|status| status.success()) {
            Ok(std::mem::take(&mut self.said))
        } else {
            Err(self.failure())
        }
    }

    /// The next line, which is kept too.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(1..) => {
                self.said += &line;
                Ok(line.trim_end().to_owned())
            }
            Ok(0) | Err(_) => Err(self.failure()),
        }
    }

    fn failure(&mut self) -> String {
        self.orders = None;
        let status = self.child.wait().map_or_else(|error| error.to_string(), |s| s.to_string());
        format!("`{}` failed ({status})", self.command)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended long ago.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Result<Worker> {
        Worker::start(&["sh", "-c", script].map(str::to_owned), Path::new("."))
    }

    #[test]
    fn a_worker_works_once_for_each_order() {
        let script = "echo 'simd\tplain'; echo ready; n=0
                      while read order; do n=$((n + 1)); echo \"seconds.$n\t$order\"; done; echo end";
        let mut worker = start(script).unwrap();
        worker.work().unwrap();
        worker.work().unwrap();
        let said = worker.finish().unwrap();
        assert_eq!(said, "simd\tplain\nready\nseconds.1\twork\nseconds.2\twork\nend\n");
    }

    #[test]
    fn a_worker_that_fails_is_named_whenever_it_fails() {
        let expected = |script: &str, code: u8| {
            let script = format!("sh -c \"{script}\"");
            format!("`{script}` failed (exit status: {code})")
        };
        assert_eq!(start("exit 3").unwrap_err(), expected("exit 3", 3));
        let script = "echo ready; read order; exit 4";
        assert_eq!(start(script).unwrap().work().unwrap_err(), expected(script, 4));
        let script = "echo ready; cat > /dev/null; exit 5";
        assert_eq!(start(script).unwrap().finish().unwrap_err(), expected(script, 5));
    }
}
