//! The plot for the README: a panel for each test, a bar for each server.

use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::{Figures, rounded};
use crate::servers::SERVERS;
use crate::tests::{TESTS, Test};

const WIDTH: u32 = 860;
const BAR: i32 = 18;
const HEAD: i32 = 34;
/// Where bars begin, right of the names; and how long the longest is.
const LEFT: i32 = 210;
const LONGEST: f64 = 540.0;

const OURS: RGBColor = RGBColor(183, 65, 14); // rust
const THEIRS: RGBColor = RGBColor(140, 149, 159);
/// Legible on a light and on a dark page.
const INK: RGBColor = RGBColor(110, 119, 129);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

struct Bar {
    name: &'static str,
    ours: bool,
    value: f64,
}

pub(crate) fn draw(figures: &Figures, path: &Path) -> io::Result<()> {
    let panels: Vec<_> = TESTS
        .iter()
        .map(|test| (test, bars(figures, test)))
        .collect();
    let height = panels
        .iter()
        .map(|(_, bars)| panel_height(bars))
        .sum::<i32>();
    let mut rest = SVGBackend::new(path, (WIDTH, height.unsigned_abs())).into_drawing_area();
    for (test, bars) in &panels {
        let (panel, below) = rest.split_vertically(panel_height(bars));
        draw_panel(&panel, test, bars).map_err(io::Error::other)?;
        rest = below;
    }
    rest.present().map_err(io::Error::other)
}

fn bars(figures: &Figures, test: &Test) -> Vec<Bar> {
    let bar = |server: &'static crate::servers::Server| {
        let sample = figures.median(test, server)?;
        Some(Bar {
            name: server.name,
            ours: server.is_ours(),
            value: sample.cost,
        })
    };
    SERVERS.iter().filter_map(bar).collect()
}

fn panel_height(bars: &[Bar]) -> i32 {
    HEAD + BAR * i32::try_from(bars.len()).unwrap_or(0) + 8
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw_panel<'a>(panel: &Area<'a>, test: &Test, bars: &[Bar]) -> Drawn<'a> {
    let heading = ("sans-serif", 18)
        .into_font()
        .style(FontStyle::Bold)
        .color(&INK);
    let unit = test.unit.symbol();
    panel.draw(&Text::new(
        format!("{}, {unit}", test.title),
        (8, 8),
        heading,
    ))?;
    // A server that needs many times what the others do would press them flat: its bar is broken off and says so.
    let mut values: Vec<f64> = bars.iter().map(|bar| bar.value).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().unwrap_or(1.0);
    let longest = values.last().copied().unwrap_or(1.0).min(middle * 3.0);
    for (row, bar) in (0..).zip(bars) {
        draw_bar(panel, HEAD + row * BAR, bar, longest)?;
    }
    Ok(())
}

fn draw_bar<'a>(panel: &Area<'a>, top: i32, bar: &Bar, longest: f64) -> Drawn<'a> {
    let font = |at| {
        let style = ("sans-serif", 15).into_font().color(&INK);
        style.pos(Pos::new(at, VPos::Center))
    };
    let color = if bar.ours { OURS } else { THEIRS };
    let length = (bar.value / longest).min(1.0) * LONGEST;
    let right = LEFT + length.round() as i32;
    let middle = top + BAR / 2 - 2;
    panel.draw(&Text::new(bar.name, (LEFT - 8, middle), font(HPos::Right)))?;
    panel.draw(&Rectangle::new(
        [(LEFT, top), (right, top + BAR - 5)],
        color.filled(),
    ))?;
    let broken = if bar.value > longest { " →" } else { "" };
    let label = format!("{}{broken}", rounded(bar.value));
    panel.draw(&Text::new(label, (right + 6, middle), font(HPos::Left)))
}
