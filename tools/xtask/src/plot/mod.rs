//! Pictures of what clients see while servers are swapped and die, drawn from measured figures.
//!
//! [`Data`] is what was measured, and all that a picture is made of: the same data give the same bytes.

mod blackouts;
mod copies;
mod data;

use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::{Color, RGBColor, WHITE};

pub use data::{Copy, Data, Timeline};

/// Rows whose every request is shown: swaps on the left, crashes on the right.
pub const BLACKOUTS: [[&str; 2]; 3] = [
    ["swap_blackout_time", "crash_blackout_time"],
    ["swap_blackout_char", "crash_blackout_char"],
    ["swap_blackout_vfs", "crash_blackout_vfs"],
];
/// What a page costs that is copied in peace; with [`KILLED`] behind it, while servers are killed.
pub const COPIES: [(&str, &str); 2] =
    [("copy_file", "from file to file, the vfs killed"), ("copy_device", "from /dev/zero to a file, char killed")];
/// Milliseconds between two deaths.
pub const KILLED: [u64; 3] = [10, 100, 1000];

/// Colours that differ for everybody (M. Okabe, K. Ito, "Color Universal Design", 2008).
const BLUE: RGBColor = RGBColor(0, 114, 178);
const RED: RGBColor = RGBColor(213, 94, 0);
const GREY: RGBColor = RGBColor(90, 90, 90);
const FONT: &str = "sans-serif";

/// Where the parts of a picture are drawn.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The pictures of these data, by the names of their files.
pub fn pictures(data: &Data) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("blackouts.svg", picture((960, 900), |area| blackouts::draw(area, data))?),
        ("copies.svg", picture((960, 360), |area| copies::draw(area, data))?),
    ])
}

fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).map_err(wrong)?;
        draw(&area)?;
        area.present().map_err(wrong)?;
    }
    Ok(text)
}

/// plotters' errors cannot be sent to other threads.
fn wrong(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

/// 271999 as 271,999.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups = digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| digits[..first].to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

/// A thin line of this colour.
fn thin(colour: RGBColor) -> plotters::style::ShapeStyle {
    colour.stroke_width(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 271_999, 1_000_000].map(grouped), ["0", "999", "1,000", "271,999", "1,000,000"]);
    }

    /// What the documents show was drawn by this program from the data beside it.
    #[test]
    fn the_pictures_of_the_tree_are_those_of_its_data() {
        let folder = Workspace::find().unwrap().root.join("tests/bench/plots");
        let data = Data::read(&folder.join("data.json")).unwrap();
        for (name, drawn) in pictures(&data).unwrap() {
            let kept = std::fs::read_to_string(folder.join(name)).unwrap();
            assert!(kept == drawn, "{name} is another one: cargo xtask plot --from tests/bench/plots/data.json");
        }
    }

    #[test]
    fn a_picture_shows_the_slowest_request_and_the_target() {
        let data = Data::sample();
        let pictures = pictures(&data).unwrap();
        let blackouts = &pictures[0].1;
        assert_eq!(blackouts.matches("271,999").count(), 6, "{blackouts}");
        assert_eq!(blackouts.matches("target 300,000").count(), 6);
        assert!(pictures[1].1.contains("50.0 %"), "{}", pictures[1].1);
    }
}
