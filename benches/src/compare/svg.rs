//! As much of SVG as the plots need. A picture has its own background, light or dark as its reader prefers, so that it
//! can be read on any page.

use std::fmt::Write;

/// A picture that is being drawn. Lengths are in pixels, from the upper left.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text stands, seen from its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// On both sides of it.
    Middle,
    /// To the left of it.
    End,
}

/// What a line or a text is for, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// What is read first.
    Strong,
    /// What is read if one wants to know.
    Faint,
    /// What should hardly be seen.
    Grid,
    /// The nth of the servers; each has a colour and a shape of its own. There are as many as [`SERIES`].
    Series(usize),
}

/// So many servers can be told apart.
pub const SERIES: usize = 5;

impl Svg {
    /// An empty picture with a title for those who do not see it.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let mut svg = Self { width, height, body: String::new() };
        let _ = writeln!(svg.body, "<title>{}</title>", escaped(title));
        let _ = writeln!(svg.body, r#"<rect class="page" width="{width}" height="{height}" rx="8"/>"#);
        svg
    }

    /// A line of text whose base line begins at a point.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, ink: Ink, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (class, text) = (ink.class(), escaped(text));
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" class="{class}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    /// A straight line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), ink: Ink) {
        let class = ink.class();
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        );
    }

    /// The mark of a series: circle, square, diamond, triangle or cross.
    pub fn mark(&mut self, (x, y): (f64, f64), series: usize) {
        let class = Ink::Series(series).class();
        let path = match series % SERIES {
            0 => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", x - 4.0),
            1 => format!("M{:.1} {:.1}h7v7h-7z", x - 3.5, y - 3.5),
            2 => format!("M{x:.1} {:.1}l4.5 4.5l-4.5 4.5l-4.5 -4.5z", y - 4.5),
            3 => format!("M{x:.1} {:.1}l4.5 8h-9z", y - 4.5),
            _ => format!("M{:.1} {:.1}l7 7m0 -7l-7 7", x - 3.5, y - 3.5),
        };
        let _ = writeln!(self.body, r#"<path d="{path}" class="{class}"/>"#);
    }

    /// The whole file.
    pub fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<style>{}</style>
{body}</svg>
"#,
            style()
        )
    }
}

impl Ink {
    fn class(self) -> String {
        match self {
            Self::Strong => "strong".into(),
            Self::Faint => "faint".into(),
            Self::Grid => "grid".into(),
            Self::Series(series) => format!("s{}", series % SERIES),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Without variables: not every program that draws SVG knows them.
fn style() -> String {
    let coloured = |colours: &[(&str, &str)]| {
        let rule = |(class, colour): &(&str, &str)| format!(".{class}{{fill:{colour};stroke:{colour}}}");
        colours.iter().map(rule).collect::<String>()
    };
    format!(
        "text{{font:12px system-ui,sans-serif}}line{{stroke-width:1.5}}line.grid{{stroke-width:1}}{}\n\
         @media(prefers-color-scheme:dark){{{}}}\n\
         text.strong,text.faint,.page{{stroke:none}}",
        coloured(&LIGHT),
        coloured(&DARK)
    )
}

const LIGHT: [(&str, &str); 9] = [
    ("page", "#ffffff"),
    ("strong", "#1f2328"),
    ("faint", "#59636e"),
    ("grid", "#d1d9e0"),
    ("s0", "#0969da"),
    ("s1", "#bc4c00"),
    ("s2", "#1a7f37"),
    ("s3", "#8250df"),
    ("s4", "#cf222e"),
];
const DARK: [(&str, &str); 9] = [
    ("page", "#0d1117"),
    ("strong", "#e6edf3"),
    ("faint", "#9198a1"),
    ("grid", "#3d444d"),
    ("s0", "#58a6ff"),
    ("s1", "#f0883e"),
    ("s2", "#3fb950"),
    ("s3", "#ab7df8"),
    ("s4", "#ff7b72"),
];
