//! The curves of a run as small drawings within the page.

use std::fmt::Write;

use looksee::train::{Curves, Report, ValidationPoint};

use crate::figures::{percent, thousands};

/// The units of a plot, which is stretched to the width of the page.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 200.0;

/// One line of a plot.
struct Line<'a> {
    name: &'a str,
    /// `(step, value)`, ascending.
    points: Vec<(f64, f64)>,
}

/// One plot: what it shows, how a value is written, and its lines.
struct Plot<'a> {
    heading: &'a str,
    label: fn(f64) -> String,
    lines: Vec<Line<'a>>,
}

/// Adds the plots of a report to the page; nothing where nothing was logged.
pub(super) fn draw(page: &mut String, report: &Report) {
    let Curves { steps, validations } = &report.curves;
    let last = steps.last().map(|point| point.step).max(validations.last().map(|v| v.step));
    let Some(last) = last.filter(|&last| last > 0) else { return };
    let of_steps = |name, value: fn(&looksee::train::StepPoint) -> f64| Line {
        name,
        points: steps.iter().map(|point| (point.step as f64, value(point))).collect(),
    };
    let of_validations = |name, value: fn(&ValidationPoint) -> Option<f64>| Line {
        name,
        points: validations
            .iter()
            .filter_map(|point| Some((point.step as f64, value(point)?)))
            .collect(),
    };
    let plots = [
        Plot { heading: "Loss", label: plain, lines: vec![of_steps("", |point| point.loss)] },
        Plot {
            heading: "R@10 of titles",
            label: share,
            lines: vec![
                of_validations("put aside", |point| Some(point.r10)),
                of_validations("learned from", |point| point.training_r10),
            ],
        },
        Plot {
            heading: "Short questions: right of 9",
            label: share,
            lines: vec![of_validations("", |point| point.p9)],
        },
        Plot {
            heading: "Share of pairs that still pull",
            label: share,
            lines: vec![of_steps("", |point| point.active)],
        },
        Plot {
            heading: "Learning rate",
            label: rate,
            lines: vec![of_steps("", |point| point.learning_rate)],
        },
    ];
    page.push_str("<section id=\"curves\">\n<h2>How it went</h2>\n");
    if let Some(first) = report.run.tuned_from {
        let first = thousands(first as usize);
        let _ = writeln!(
            page,
            "<p class=\"grey\">Dashed: step {first}, from which on the network itself was tuned.</p>"
        );
    }
    page.push_str("<div class=\"charts\">\n");
    for plot in &plots {
        plot.draw(page, last as f64, report.run.tuned_from);
    }
    page.push_str("</div>\n</section>\n");
}

impl Plot<'_> {
    /// From step 0 to `last`, and from 0 to the greatest value.
    fn draw(&self, page: &mut String, last: f64, tuned_from: Option<u64>) {
        let lines: Vec<&Line<'_>> =
            self.lines.iter().filter(|line| !line.points.is_empty()).collect();
        let values = lines.iter().flat_map(|line| &line.points).map(|&(_, value)| value);
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        if most <= 0.0 {
            return;
        }
        let Self { heading, label, .. } = self;
        let _ = write!(
            page,
            "<figure>\n<h3>{heading}</h3>\n<div class=\"plot\">\n<div class=\"axis y\">\
             <span>{}</span><span>{}</span><span>0</span></div>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{heading}\">\n",
            label(most),
            label(most / 2.0),
        );
        if let Some(first) = tuned_from {
            let x = first as f64 / last * WIDTH;
            let _ = writeln!(page, "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{HEIGHT}\"/>");
        }
        for (number, line) in lines.iter().enumerate() {
            let _ = write!(page, "<polyline style=\"--c: var(--c{number})\" points=\"");
            // A point alone is a line of no length, which has round ends.
            let alone = line.points.first().filter(|_| line.points.len() == 1);
            for (step, value) in line.points.iter().chain(alone) {
                let (x, y) = (step / last * WIDTH, (1.0 - value / most) * HEIGHT);
                let _ = write!(page, "{x:.1},{y:.1} ");
            }
            page.push_str("\"/>\n");
        }
        let _ = write!(
            page,
            "</svg>\n<div class=\"axis x\"><span>step 0</span><span>{}</span></div>\n</div>\n",
            thousands(last as usize)
        );
        self.legend(page, &lines);
        page.push_str("</figure>\n");
    }

    fn legend(&self, page: &mut String, lines: &[&Line<'_>]) {
        page.push_str("<ul class=\"legend\">\n");
        for (number, line) in lines.iter().enumerate() {
            let value =
                line.points.last().map_or_else(String::new, |&(_, value)| (self.label)(value));
            let _ = match line.name {
                "" => writeln!(page, "<li>at the end {value}</li>"),
                name => {
                    writeln!(page, "<li style=\"--c: var(--c{number})\"><i></i>{name} {value}</li>")
                }
            };
        }
        page.push_str("</ul>\n");
    }
}

fn plain(value: f64) -> String {
    format!("{value:.2}")
}

fn share(value: f64) -> String {
    percent(value)
}

/// `1.5e-3`, which fits beside a plot whatever the rate.
fn rate(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::train_html::tests::report;

    #[test]
    fn a_curve_goes_from_its_first_step_to_the_last_and_from_nothing_to_its_most() {
        let mut page = String::new();
        draw(&mut page, &report());
        // Loss 2 at step 1 and 1 at step 2.
        assert!(page.contains("points=\"300.0,0.0 600.0,100.0 \""), "{page}");
        assert!(
            page.contains("put aside 50.0 %</li>") && page.contains("learned from 80.0 %</li>")
        );
        assert!(page.contains("<line x1=\"300.0\""), "{page}");
        // Loss, two of recall, short questions, what pulls, the rate.
        assert_eq!(page.matches("<polyline").count(), 6);
        assert!(page.contains("at the end 5.0e-4"), "{page}");
    }

    #[test]
    fn what_was_never_logged_is_not_drawn() {
        let mut page = String::new();
        let report = Report { curves: Curves::default(), ..report() };
        draw(&mut page, &report);
        assert_eq!(page, "");
    }
}
