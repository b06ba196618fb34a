//! What Barelane's HTML pages share: the report of a measurement, and the page of a running server.
//!
//! Both load nothing, and both have a policy (Content-Security-Policy) that lets nothing run but the scripts and styles whose
//! SHA-256 it names. So a text from outside cannot run even if it broke out of its element.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// uPlot 1.6.32, unchanged; `assets/uplot/README.md` says where it is from.
pub(crate) const UPLOT: &str = include_str!("../assets/uplot/uPlot.iife.min.js");
pub(crate) const UPLOT_LICENCE: &str = include_str!("../assets/uplot/LICENSE");

/// A page's style: what all have, and then its own.
macro_rules! style {
    ($own:literal) => {
        concat!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/uplot/uPlot.min.css")),
            "\n",
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/family.css")),
            "\n",
            include_str!($own)
        )
    };
}

/// A page's script: what all have, and then its own, in this order.
macro_rules! script {
    ($($own:literal),+) => {
        concat!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/numbers.js")),
            $("\n", include_str!($own)),+
        )
    };
}

pub(crate) use {script, style};

/// A text's hash as a policy names it.
pub(crate) fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}
