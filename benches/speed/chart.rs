//! A chart as SVG: panels side by side, figures over numbers of rows.

use std::fmt::Write as _;

/// Lines over the same rows.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    /// Name, and (rows, figure) in the order of the rows.
    pub(crate) lines: Vec<(&'static str, Vec<(f64, f64)>)>,
    /// Whether ten times as much is as far away everywhere.
    pub(crate) is_logarithmic: bool,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
/// Left, top, right and bottom of what is drawn into.
const FRAME: [f64; 4] = [60.0, 40.0, 330.0, 260.0];
const COLOURS: [&str; 3] = ["#c0392b", "#2471a3", "#7f8c8d"];

/// The panels, one beside the other.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        writeln!(out, "<g transform=\"translate({} 0)\">", WIDTH * at as f64).expect("a string");
        panel.draw(&mut out);
        out.push_str("</g>\n");
    }
    out + "</svg>\n"
}

impl Panel {
    fn draw(&self, out: &mut String) {
        let [left, top, right, bottom] = FRAME;
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let rows = Scale::logarithmic(points().map(|(rows, _)| *rows), [left, right]);
        let figures = points().map(|(_, figure)| *figure);
        let figures = match self.is_logarithmic {
            true => Scale::logarithmic(figures, [bottom, top]),
            false => Scale::linear(figures, [bottom, top]),
        };
        let mut put = |element: String| writeln!(out, "{element}").expect("a string");
        put(format!("<text x=\"{left}\" y=\"20\" font-size=\"13\">{}</text>", self.title));
        for (tick, x) in rows.ticks() {
            put(format!("<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#ddd\"/>"));
            put(format!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", bottom + 16.0, short(tick)));
        }
        for (tick, y) in figures.ticks() {
            put(format!("<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>"));
            put(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 6.0, y + 4.0, short(tick)));
        }
        put(format!("<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">rows</text>", bottom + 32.0));
        for ((name, points), colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let places: Vec<_> = points.iter().map(|(x, y)| (rows.place(*x), figures.place(*y))).collect();
            let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            put(format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ));
            for ((x, y), (_, figure)) in places.iter().zip(points) {
                put(format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
                let (y, figure) = (y - 6.0, short(*figure));
                put(format!(
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{colour}\">{figure}</text>"
                ));
            }
            if let Some((x, y)) = places.last() {
                put(format!("<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>", x + 8.0, y + 4.0));
            }
        }
    }
}

/// From figures to places.
struct Scale {
    least: f64,
    most: f64,
    is_logarithmic: bool,
    ends: [f64; 2],
}

impl Scale {
    /// From one power of ten to another.
    fn logarithmic(figures: impl Iterator<Item = f64> + Clone, ends: [f64; 2]) -> Self {
        let (least, most) = (figures.clone().fold(f64::MAX, f64::min), figures.fold(0.0, f64::max));
        let power = |exponent: f64| 10_f64.powf(exponent);
        Self { least: power(least.log10().floor()), most: power(most.log10().ceil()), is_logarithmic: true, ends }
    }

    /// From nothing to the next ten above.
    fn linear(figures: impl Iterator<Item = f64>, ends: [f64; 2]) -> Self {
        let most = (figures.fold(0.0, f64::max) / 10.0).ceil() * 10.0;
        Self { least: 0.0, most, is_logarithmic: false, ends }
    }

    fn place(&self, figure: f64) -> f64 {
        let part = match self.is_logarithmic {
            true => (figure / self.least).log10() / (self.most / self.least).log10(),
            false => (figure - self.least) / (self.most - self.least),
        };
        self.ends[0] + part * (self.ends[1] - self.ends[0])
    }

    /// Figures to be named at the edge, with their places.
    fn ticks(&self) -> Vec<(f64, f64)> {
        let figures: Vec<f64> = match self.is_logarithmic {
            true => {
                let powers = (self.most / self.least).log10().round() as i32;
                (0..=powers).map(|power| self.least * 10_f64.powi(power)).collect()
            }
            false => (0..=(self.most / 10.0) as i32).map(|tens| f64::from(tens) * 10.0).collect(),
        };
        figures.into_iter().map(|figure| (figure, self.place(figure))).collect()
    }
}

/// A figure in few characters.
fn short(figure: f64) -> String {
    match figure {
        figure if figure >= 1e6 => format!("{:.0} M", figure / 1e6),
        figure if figure >= 1e4 => format!("{:.0} k", figure / 1e3),
        figure if figure >= 10.0 => format!("{figure:.0}"),
        figure if figure >= 1.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}
