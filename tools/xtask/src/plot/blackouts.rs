//! Each request of a client around a swap and a crash of each service: the blackout is the spike.

use anyhow::{Context, Result};
use plotters::chart::ChartBuilder;
use plotters::coord::combinators::IntoLogRange;
use plotters::element::{Circle, PathElement, Text};
use plotters::series::LineSeries;
use plotters::style::{Color, IntoFont, TextStyle};

use super::{Area, BLACKOUTS, BLUE, Data, FONT, GREY, RED, Timeline, grouped, thin, wrong};

/// Instructions from the lowest to the highest.
const TOOK: std::ops::Range<f64> = 100.0..1_000_000.0;

pub fn draw(area: &Area<'_>, data: &Data) -> Result<()> {
    let text = format!("Each request of a client while its service is swapped or dies; {}", data.conditions);
    let area = area.titled(&text, (FONT, 13)).map_err(wrong)?;
    for (panel, row) in area.split_evenly((BLACKOUTS.len(), 2)).iter().zip(BLACKOUTS.into_iter().flatten()) {
        let timeline = data.blackouts.get(row).with_context(|| format!("the data have no {row}"))?;
        draw_one(panel, row, timeline)?;
    }
    Ok(())
}

fn draw_one(panel: &Area<'_>, row: &str, timeline: &Timeline) -> Result<()> {
    // In thousands: a microsecond of the machine's clock.
    let at = |request: &(i64, u64)| request.0 as f64 / 1000.0;
    let first = timeline.requests.first().map_or(0.0, at);
    let last = timeline.requests.last().map_or(1.0, at);
    let mut chart = ChartBuilder::on(panel)
        .caption(row, (FONT, 18))
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(72)
        .build_cartesian_2d(first..last, TOOK.log_scale())
        .map_err(wrong)?;
    chart
        .configure_mesh()
        .light_line_style(plotters::style::TRANSPARENT)
        .x_labels(6)
        .x_desc("thousand instructions since it was asked for")
        .y_desc("instructions to the answer")
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 14))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| grouped(*y as u64))
        .draw()
        .map_err(wrong)?;
    let points: Vec<(f64, f64)> = timeline.requests.iter().map(|request| (at(request), request.1 as f64)).collect();
    chart.draw_series(LineSeries::new(points.iter().copied(), thin(BLUE))).map_err(wrong)?;
    chart.draw_series(points.iter().map(|&point| Circle::new(point, 2, BLUE.filled()))).map_err(wrong)?;
    let limit = timeline.limit as f64;
    chart.draw_series([PathElement::new(vec![(first, limit), (last, limit)], thin(GREY))]).map_err(wrong)?;
    let small = |colour| TextStyle::from((FONT, 14).into_font()).color(colour);
    let target = format!("target {}", grouped(timeline.limit));
    chart.draw_series([Text::new(target, (first, limit * 2.1), small(&GREY))]).map_err(wrong)?;
    if let Some(slowest) = timeline.requests.iter().max_by_key(|request| request.1) {
        let point = (at(slowest), slowest.1 as f64);
        chart.draw_series([Circle::new(point, 4, RED.filled())]).map_err(wrong)?;
        let beside = (point.0 + (last - first) / 60.0, point.1 * 0.9);
        chart.draw_series([Text::new(grouped(slowest.1), beside, small(&RED))]).map_err(wrong)?;
    }
    Ok(())
}
