//! The web page of a running server: one answer that is whole, and the figures that it then asks for once a second.
//!
//! ```text
//!   browser ── GET / ──────────▶ markup, style, scripts        the same for every server: it has no figure in it
//!           ── GET /page.json ─▶ two looks at the segment ─▶ figures of `barelane top`, curves, tables
//! ```
//!
//! The browser loads nothing else: the policy names the hashes of what stands in the page, and lets it ask its own server alone. A
//! browser cannot show a token when it opens an address, so that the page itself is for everybody; the figures are not.

use std::sync::LazyLock;

use crate::web::{self, UPLOT, UPLOT_LICENCE, hash};

mod figures;
mod looks;
#[cfg(test)]
mod tests;

pub(super) use figures::PageFigures;
pub(super) use looks::Looks;

const STYLE: &str = web::style!("page/page.css");
const SCRIPT: &str = web::script!("page/charts.js", "page/tables.js", "page/page.js");

/// What stands before and behind style, licence and scripts.
const MARKUP: &str = include_str!("page/page.html");

/// The page, whole.
pub(super) static PAGE: LazyLock<String> = LazyLock::new(|| {
    let parts = [("{style}", STYLE), ("{licence}", UPLOT_LICENCE), ("{uplot}", UPLOT), ("{script}", SCRIPT)];
    // Each at its first place: what comes in may have such words too.
    let mut page = String::new();
    let mut rest = MARKUP;
    for (place, text) in parts {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        page.extend([before, text]);
        rest = after;
    }
    page + rest
});

/// What the browser shall not do, whatever stands in the figures.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let scripts = [UPLOT, SCRIPT].map(hash).join(" ");
    format!(
        "default-src 'none'; script-src {scripts}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE)
    )
});
