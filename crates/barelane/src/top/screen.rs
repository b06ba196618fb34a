//! The screen: lanes above, and below them one of several tables, as keys choose. It works where a terminal has 80 columns
//! and 24 lines, and draws only what has changed, so that it is usable over a slow line.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table as Grid};

use super::Watched;
use super::figures::Figures;
use super::tables::{self, Table};
use crate::error::Error;
use crate::signals::Signals;

/// How long a key waits for its answer at most, and a signal.
const PATIENCE: Duration = Duration::from_millis(100);

/// A key, the name of what it chooses, and how that is made.
type Choice = (char, &'static str, fn(&Figures) -> Table);

/// The keys that choose a table, each with its name.
const VIEWS: [Choice; 7] = [
    ('a', "answers", tables::answers),
    ('d', "drops", tables::drops),
    ('s', "stalls", tables::stalls),
    ('r', "routes", tables::routes),
    ('k', "kernel", tables::queues),
    ('t', "streams", tables::streams),
    WAITS,
];

/// The one that is offered only where frames say when they came, or when they left.
const WAITS: Choice = ('w', "waits", tables::waits);

/// The most lanes that are shown at once, so that the table below has room; what is more is scrolled to.
const LANE_ROWS_MAX: usize = 8;

/// What is on the screen.
#[derive(Debug, Default)]
pub(super) struct View {
    /// One of [`VIEWS`].
    table: usize,
    /// Which of the servers.
    server: usize,
    /// How many rows of the lower table are above its window.
    skipped: usize,
    /// The same of the lanes.
    lanes_skipped: usize,
    is_paused: bool,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Quit,
}

/// Shows the servers until `q`.
pub(super) fn run(mut watched: Vec<Watched>, interval: Duration) -> Result<(), Error> {
    let failed = |cause| Error::Failed(format!("the terminal: {cause}"));
    let signals = Signals::catch()?;
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let ended = show(&mut terminal, &mut watched, interval, &signals);
    ratatui::try_restore().map_err(failed)?;
    ended
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    watched: &mut [Watched],
    interval: Duration,
    signals: &Signals,
) -> Result<(), Error> {
    let failed = |cause| Error::Failed(format!("the terminal: {cause}"));
    let mut view = View::default();
    // A first look after a moment, so that nobody waits a minute for something to see.
    let mut due = Instant::now() + interval.min(Duration::from_secs(1));
    let mut figures = Vec::new();
    while !signals.is_stopping() {
        if Instant::now() >= due && !view.is_paused {
            figures = watched.iter_mut().map(Watched::look).collect::<Result<Vec<_>, _>>()?;
            due = Instant::now() + interval;
        }
        terminal.draw(|frame| draw(frame, &figures, &view)).map_err(failed)?;
        let wait = PATIENCE.min(due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        if event::poll(wait).map_err(failed)?
            && let Event::Key(key) = event::read().map_err(failed)?
            && view.press(key, watched.len()) == Next::Quit
        {
            return Ok(());
        }
    }
    Ok(())
}

impl View {
    /// Does what a key asks for, with so many servers.
    pub(super) fn press(&mut self, key: KeyEvent, server_count: usize) -> Next {
        let is_end = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => {}
            KeyCode::Char('q') | KeyCode::Esc => return Next::Quit,
            _ if is_end => return Next::Quit,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char('n') => {
                (self.server, self.skipped, self.lanes_skipped) =
                    ((self.server + 1) % server_count.max(1), 0, 0);
            }
            KeyCode::Down => self.skipped = self.skipped.saturating_add(1),
            KeyCode::Up => self.skipped = self.skipped.saturating_sub(1),
            KeyCode::PageDown => self.lanes_skipped = self.lanes_skipped.saturating_add(1),
            KeyCode::PageUp => self.lanes_skipped = self.lanes_skipped.saturating_sub(1),
            KeyCode::Char(letter) => self.choose(letter),
            _ => {}
        }
        Next::Stay
    }

    fn choose(&mut self, letter: char) {
        if let Some(table) = VIEWS.iter().position(|(key, ..)| *key == letter) {
            (self.table, self.skipped) = (table, 0);
        }
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, servers: &[Figures], view: &View) {
    let Some(figures) = servers.get(view.server) else {
        frame.render_widget(Paragraph::new("a first look is under way …   q quit"), frame.area());
        return;
    };
    let lanes = tables::lanes(figures);
    let lane_rows = lanes.rows.len().clamp(1, LANE_ROWS_MAX);
    let heights = [3, 1, height(lane_rows + 1), 1, 0, 1]
        .map(|lines| if lines == 0 { Constraint::Min(1) } else { Constraint::Length(lines) });
    let areas = Layout::vertical(heights).split(frame.area());
    let [head, _, upper, gap, lower, keys] =
        std::array::from_fn(|place| areas.get(place).copied().unwrap_or_default());
    draw_head(frame, figures, servers.len(), view, head);
    draw_table(frame, &lanes, view.lanes_skipped, upper);
    let shown = VIEWS.get(view.table);
    let name = shown.map_or("", |(_, name, _)| name);
    let clocks = if name == WAITS.1 { tables::clocks(figures) } else { String::new() };
    let rule = rule(name, &clocks, usize::from(gap.width));
    frame.render_widget(Paragraph::new(rule), gap);
    if let Some((_, _, table)) = shown {
        draw_table(frame, &table(figures), view.skipped, lower);
    }
    frame.render_widget(
        Paragraph::new(keys_line(figures, view, usize::from(keys.width)))
            .style(Style::new().add_modifier(Modifier::REVERSED)),
        keys,
    );
}

/// The line between the tables: the name of the lower one and, to the right, by which clocks it tells times that others tell it.
fn rule(name: &str, clocks: &str, columns: usize) -> String {
    let ending = if clocks.is_empty() { String::new() } else { format!(" {clocks} ─") };
    let used = name.chars().count() + ending.chars().count() + 4;
    format!("── {name} {}{ending}", "─".repeat(columns.saturating_sub(used)))
}

fn height(rows: usize) -> u16 {
    u16::try_from(rows).unwrap_or(u16::MAX)
}

fn draw_head(frame: &mut Frame<'_>, figures: &Figures, server_count: usize, view: &View, area: Rect) {
    let which =
        if server_count > 1 { format!("[{}/{server_count}] ", view.server + 1) } else { String::new() };
    let paused = if view.is_paused { "PAUSED " } else { "" };
    let title = Line::from(format!("{paused}{which}{}", tables::title(figures)))
        .style(Style::new().add_modifier(Modifier::BOLD));
    let lines = vec![
        title,
        Line::from(tables::flow("lanes", &figures.lanes_flow())),
        Line::from(tables::flow("driver", &figures.driver)),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// A table from its row `skipped` on; what has no room to the right is cut off.
fn draw_table(frame: &mut Frame<'_>, table: &Table, skipped: usize, area: Rect) {
    if table.rows.is_empty() {
        frame.render_widget(Paragraph::new(table.nothing), area);
        return;
    }
    let widths = fitting(table.widths(), table.words, usize::from(area.width));
    let cell = |column: usize, text: &str| {
        let width = widths.get(column).copied().unwrap_or(0);
        let text: String = text.chars().take(width).collect();
        Cell::from(if column < table.words { text } else { format!("{text:>width$}") })
    };
    let head = table.head.iter().enumerate().map(|(column, text)| cell(column, text));
    let head = Row::new(head).style(Style::new().add_modifier(Modifier::UNDERLINED));
    // Where all is scrolled away, the last row stays.
    let skipped = skipped.min(table.rows.len() - 1);
    let rows = table.rows.iter().skip(skipped);
    let rows = rows.map(|row| Row::new(row.iter().enumerate().map(|(column, text)| cell(column, text))));
    let constraints = widths.iter().map(|width| Constraint::Length(height(*width)));
    frame.render_widget(Grid::new(rows, constraints).header(head).column_spacing(1), area);
}

/// The widths that fit into so many columns: the widest column of words gives up what is too much.
fn fitting(mut widths: Vec<usize>, words: usize, columns: usize) -> Vec<usize> {
    let needed = widths.iter().sum::<usize>() + widths.len().saturating_sub(1);
    let too_much = needed.saturating_sub(columns);
    if let Some(widest) = widths.iter_mut().take(words).max() {
        *widest = widest.saturating_sub(too_much).max(8);
    }
    widths
}

/// What the keys do, close together where so many columns leave no other way.
fn keys_line(figures: &Figures, view: &View, columns: usize) -> String {
    let pause = if view.is_paused { "p go on" } else { "p pause" };
    let offered = VIEWS.iter().filter(|(key, ..)| *key != WAITS.0 || figures.facts.has_stamps());
    let views = offered.map(|(key, name, _)| format!("{key} {name}"));
    let fixed = ["q quit", pause, "n next"].map(str::to_owned);
    let mut words: Vec<String> = fixed.into_iter().chain(views).chain(["↑↓".to_owned()]).collect();
    let wide = words.join("  ");
    if wide.chars().count() <= columns {
        return wide;
    }
    if words.join(" ").chars().count() > columns {
        // Each of the views has a key of its own, which is told.
        words.retain(|word| word != "n next");
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
