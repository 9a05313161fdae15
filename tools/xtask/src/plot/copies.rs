//! What is left of the throughput of a copy while its server or driver is killed again and again.

use anyhow::{Context, Result};
use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, TextStyle, WHITE};

use super::{Area, BLUE, COPIES, Data, FONT, GREY, KILLED, thin, wrong};

/// Of 100 that must be left with a death a second.
const TARGET: f64 = 95.0;

pub fn draw(area: &Area<'_>, data: &Data) -> Result<()> {
    let text = format!("Throughput of a copy, undisturbed = 100 %; {}", data.conditions);
    let area = area.titled(&text, (FONT, 16)).map_err(wrong)?;
    for (panel, (row, title)) in area.split_evenly((1, COPIES.len())).iter().zip(COPIES) {
        let page = |row: &str| -> Result<f64> {
            let copy = data.copies.get(row).with_context(|| format!("the data have no {row}"))?;
            Ok(copy.page as f64)
        };
        let undisturbed = page(row)?;
        let mut bars = vec![("undisturbed".to_owned(), 100.0)];
        for every in KILLED {
            bars.push((format!("every {every} ms"), 100.0 * undisturbed / page(&format!("{row}_killed_{every}"))?));
        }
        draw_one(panel, title, &bars)?;
    }
    Ok(())
}

fn draw_one(panel: &Area<'_>, title: &str, bars: &[(String, f64)]) -> Result<()> {
    let width = bars.len() as f64;
    let mut chart = ChartBuilder::on(panel)
        .caption(title, (FONT, 18))
        .margin(8)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..width, 0.0..115.0)
        .map_err(wrong)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(plotters::style::TRANSPARENT)
        .label_style((FONT, 14))
        .y_label_formatter(&|y| format!("{y:.0} %"))
        .draw()
        .map_err(wrong)?;
    let small = TextStyle::from((FONT, 14).into_font()).pos(Pos::new(HPos::Center, VPos::Bottom));
    for (place, (name, height)) in bars.iter().enumerate() {
        let place = place as f64;
        let bar = Rectangle::new([(place + 0.1, 0.0), (place + 0.9, *height)], BLUE.filled());
        chart.draw_series([bar]).map_err(wrong)?;
        let texts = [
            Text::new(name.clone(), (place + 0.5, 2.0), (FONT, 12).into_font().color(&WHITE).pos(small.pos)),
            Text::new(format!("{height:.1} %"), (place + 0.5, height + 1.0), small.clone()),
        ];
        chart.draw_series(texts).map_err(wrong)?;
    }
    let line = PathElement::new(vec![(0.0, TARGET), (width, TARGET)], thin(GREY));
    chart.draw_series([line]).map_err(wrong)?;
    let target = format!("the line: target with a death a second, {TARGET} %");
    let grey = TextStyle::from((FONT, 12).into_font()).color(&GREY);
    chart.draw_series([Text::new(target, (0.1, 114.0), grey)]).map_err(wrong)?;
    Ok(())
}
