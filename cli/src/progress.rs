//! How far a long run is: rate and time left.
//!
//! On a terminal one line is redrawn a few times a second and wiped when the phase ends; elsewhere
//! (a log file, a job scheduler) a whole line appears every few seconds. [`Meter`] decides what is
//! said and when, from times that it is given; [`Progress`] writes it.

use std::io::Write;
use std::time::{Duration, Instant};

use looksee::units::Event;

use crate::render::text;
use crate::{advice, figures};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One line, redrawn.
    Terminal,
    /// A line every few seconds.
    Lines,
    /// Not at all.
    Silent,
}

impl Style {
    fn pause(self) -> Duration {
        match self {
            Self::Terminal => Duration::from_millis(100),
            Self::Lines => Duration::from_secs(5),
            Self::Silent => Duration::MAX,
        }
    }
}

/// Writes progress, notes and warnings so that they do not overwrite each other.
#[derive(Debug)]
pub(crate) struct Progress<W: Write> {
    out: W,
    style: Style,
    meter: Option<Meter>,
    /// A redrawn line stands on the terminal and must be wiped before anything else is written.
    drawn: bool,
    /// What was measured last, shown beside the progress.
    measured: Option<String>,
}

impl<W: Write> Progress<W> {
    pub(crate) fn new(out: W, style: Style) -> Self {
        Self { out, style, meter: None, drawn: false, measured: None }
    }

    /// Shows what the library tells, `now` being the time at which it told it.
    pub(crate) fn hear(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            Event::Progress { what, done, total } => self.advance(what, *done, *total, now),
            Event::Measured { what, value } => self.measured = Some(format!("{what} {value:.4}")),
            Event::Note(text) => self.note(text),
            Event::Warning(text) => self.warn(text),
            Event::Suspicion(text, fact) => self.warn(&advice::advised(text, Some(fact))),
            _ => {}
        }
    }

    /// One line for the user; not shown with `--quiet`.
    pub(crate) fn note(&mut self, text: &str) {
        if self.style != Style::Silent {
            self.line("", text);
        }
    }

    /// One line that the user should see even with `--quiet`.
    pub(crate) fn warn(&mut self, text: &str) {
        self.line("warning: ", text);
    }

    /// Ends the current phase.
    pub(crate) fn finish(&mut self) {
        self.wipe();
        self.meter = None;
        self.measured = None;
    }

    fn advance(&mut self, what: &str, done: usize, total: usize, now: Instant) {
        if self.style == Style::Silent {
            return;
        }
        if self.meter.as_ref().is_none_or(|meter| meter.what != what || done < meter.done) {
            self.finish();
            self.meter = Some(Meter::start(what, done, now));
        }
        let pause = self.style.pause();
        let Some(meter) = &mut self.meter else { return };
        if let Some(text) = meter.advance(done, total, now, pause) {
            match &self.measured {
                Some(measured) => self.show(&format!("{text}, {measured}")),
                None => self.show(&text),
            }
        }
    }

    fn show(&mut self, text: &str) {
        let text = text::visible(text);
        if self.style == Style::Terminal {
            let _ = write!(self.out, "\r{text}\x1b[K");
            self.drawn = true;
        } else {
            let _ = writeln!(self.out, "looksee: {text}");
        }
        let _ = self.out.flush();
    }

    fn line(&mut self, prefix: &str, text: &str) {
        self.wipe();
        let _ = writeln!(self.out, "looksee: {prefix}{}", text::visible(text));
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(self.out, "\r\x1b[K");
            let _ = self.out.flush();
        }
    }
}

/// The speed of one phase.
#[derive(Debug)]
struct Meter {
    what: String,
    started: Instant,
    /// Units that were finished before the phase began, by an earlier run that was interrupted.
    before: usize,
    done: usize,
    shown: Instant,
}

impl Meter {
    fn start(what: &str, done: usize, now: Instant) -> Self {
        Self { what: what.to_owned(), started: now, before: done, done, shown: now }
    }

    /// The line to show, if the last one is at least `pause` old.
    fn advance(
        &mut self,
        done: usize,
        total: usize,
        now: Instant,
        pause: Duration,
    ) -> Option<String> {
        self.done = done;
        if now.duration_since(self.shown) < pause {
            return None;
        }
        self.shown = now;
        Some(self.describe(total, now))
    }

    /// `embedding: 12,345 of 70,000 (17.6 %), 412/s, 2m 20s left`.
    fn describe(&self, total: usize, now: Instant) -> String {
        let mut pieces = vec![self.describe_share(total)];
        let per_second = self.per_second(now);
        if per_second > 0.0 {
            pieces.push(figures::rate(per_second));
        }
        if per_second > 0.0 && total > self.done {
            let seconds = (total - self.done) as f64 / per_second;
            let left = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            pieces.push(format!("{} left", figures::duration(left)));
        }
        pieces.join(", ")
    }

    fn describe_share(&self, total: usize) -> String {
        let (what, done) = (&self.what, figures::thousands(self.done));
        if total == 0 {
            return format!("{what}: {done}");
        }
        let share = figures::percent(self.done as f64 / total as f64);
        format!("{what}: {done} of {} ({share})", figures::thousands(total))
    }

    /// Units that this run finished a second; 0 when that cannot be told yet.
    fn per_second(&self, now: Instant) -> f64 {
        let elapsed = now.duration_since(self.started).as_secs_f64();
        let finished = self.done.saturating_sub(self.before) as f64;
        if elapsed > 0.0 { finished / elapsed } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use looksee::Fact;

    use super::*;

    fn progress(done: usize, total: usize) -> Event<'static> {
        Event::Progress { what: "embedding", done, total }
    }

    fn written(style: Style, events: &[(u64, Event<'_>)]) -> String {
        let start = Instant::now();
        let mut progress = Progress::new(Vec::new(), style);
        for (seconds, event) in events {
            progress.hear(event, start + Duration::from_secs(*seconds));
        }
        progress.finish();
        String::from_utf8(progress.out).unwrap()
    }

    #[test]
    fn a_log_gets_a_line_every_five_seconds_with_rate_and_time_left() {
        let text = written(
            Style::Lines,
            &[
                (0, progress(0, 70_000)),
                (3, progress(1_000, 70_000)),
                (10, progress(4_000, 70_000)),
            ],
        );
        assert_eq!(text, "looksee: embedding: 4,000 of 70,000 (5.7 %), 400/s, 2m 45s left\n");
    }

    #[test]
    fn work_of_an_earlier_run_does_not_count_as_speed() {
        let text = written(Style::Lines, &[(0, progress(500, 1_000)), (10, progress(520, 1_000))]);
        assert_eq!(text, "looksee: embedding: 520 of 1,000 (52.0 %), 2.0/s, 4m 00s left\n");
    }

    #[test]
    fn an_unknown_total_gives_no_share_and_no_time_left() {
        let text = written(Style::Lines, &[(0, progress(0, 0)), (5, progress(50, 0))]);
        assert_eq!(text, "looksee: embedding: 50, 10/s\n");
    }

    #[test]
    fn what_was_measured_stands_behind_the_progress() {
        let measured = Event::Measured { what: "KL", value: 1.234_56 };
        let text = written(
            Style::Lines,
            &[(0, progress(0, 10)), (1, measured), (5, progress(5, 10)), (6, Event::Note("n"))],
        );
        assert_eq!(
            text,
            "looksee: embedding: 5 of 10 (50.0 %), 1.0/s, 5s left, KL 1.2346\nlooksee: n\n"
        );
    }

    #[test]
    fn a_warning_does_not_land_in_the_middle_of_the_redrawn_line() {
        let text = written(
            Style::Terminal,
            &[(0, progress(0, 10)), (1, progress(5, 10)), (1, Event::Warning("odd"))],
        );
        assert_eq!(
            text,
            "\rembedding: 5 of 10 (50.0 %), 5.0/s, 1s left\x1b[K\r\x1b[Klooksee: warning: odd\n"
        );
    }

    #[test]
    fn a_suspicion_is_a_warning_with_what_to_type() {
        let suspicion = Event::Suspicion("the embedding has collapsed", Fact::Collapsed);
        assert_eq!(
            written(Style::Lines, &[(0, suspicion)]),
            "looksee: warning: the embedding has collapsed; try --miner semi-hard, --loss infonce \
             or a lower --lr\n"
        );
    }

    #[test]
    fn quiet_hides_progress_and_notes_but_no_warnings() {
        let text = written(
            Style::Silent,
            &[(0, progress(0, 9)), (60, progress(5, 9)), (60, Event::Note("epoch 1"))],
        );
        assert_eq!(text, "");
        let text = written(Style::Silent, &[(0, Event::Warning("odd"))]);
        assert_eq!(text, "looksee: warning: odd\n");
    }
}
