//! Chromium without a window, driven as a reader would: pages, windows, keys, and what it complained about.
//!
//! It speaks the protocol of its `DevTools` over its standard input and output, in messages that a zero byte ends
//! (`--remote-debugging-pipe`). So it needs no port, works in a network namespace without any, and takes no library: the
//! drivers that there are want a `WebSocket` and a runtime.
//!
//! ```text
//!   test ─▶ 0 ─ sh ─▶ 3 ─┐
//!                        │ chromium          sh exists only to move the two pipes to where Chromium looks for them
//!   test ◀─ 1 ─ sh ◀─ 4 ─┘
//! ```
#![expect(clippy::indexing_slicing, reason = "of JSON alone, where what is not there is null")]

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

mod image;

pub use image::Image;

/// How long Chromium may take for anything, on two busy cores.
const ANSWER_MAX: Duration = Duration::from_mins(1);
/// How long between two looks at a page that is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long it may take to end by itself.
const END_MAX: Duration = Duration::from_secs(10);

/// What went wrong, in words.
pub type Problem = String;

/// The colours that a reader prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on white.
    Light,
    /// Light on black.
    Dark,
}

/// A browser with one page. Ended when dropped, and nothing of it is left.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    profile: PathBuf,
    session: Option<String>,
    number: u64,
    complaints: Vec<String>,
}

impl Browser {
    /// Starts Chromium by `spawn`, which may do so in another network namespace. Its profile is made where nothing is yet.
    ///
    /// # Errors
    /// It is not there, or does not answer.
    pub fn start(
        profile: PathBuf,
        spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
    ) -> Result<Self, Problem> {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh", "chromium"]);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--hide-scrollbars", "--force-device-scale-factor=1", "--remote-debugging-pipe"]);
        command.arg(format!("--user-data-dir={}", profile.display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn(&mut command).map_err(|error| format!("chromium: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("chromium has no pipes".to_owned());
        };
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let messages = BufReader::new(output).split(0).map_while(Result::ok);
            let mut messages = messages.map_while(|message| serde_json::from_slice(&message).ok());
            messages.try_for_each(|message| sender.send(message))
        });
        let mut browser =
            Self { child, input, messages, profile, session: None, number: 0, complaints: Vec::new() };
        browser.open()?;
        Ok(browser)
    }

    /// One page, and word of all that it complains about.
    fn open(&mut self) -> Result<(), Problem> {
        let target = self.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", &attach)?;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// Goes to an address.
    ///
    /// # Errors
    /// The browser does not answer. That the address does not is no error of this.
    pub fn visit(&mut self, address: &str) -> Result<(), Problem> {
        self.call("Page.navigate", &json!({ "url": address })).map(|_| ())
    }

    /// Gives the page a window of this size, to a reader who prefers these colours. One as narrow as a phone is a phone.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn resize(&mut self, width: u32, height: u32, scheme: Scheme) -> Result<(), Problem> {
        let phone = width < 600;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features })).map(|_| ())
    }

    /// What a script gives in the page, when its promise is kept.
    ///
    /// # Errors
    /// It throws, or the browser does not answer.
    pub fn value(&mut self, script: &str) -> Result<Value, Problem> {
        let ask = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let told = self.call("Runtime.evaluate", &ask)?;
        match told.get("exceptionDetails") {
            Some(thrown) => Err(format!("{script}: {thrown}")),
            None => Ok(told["result"]["value"].clone()),
        }
    }

    /// Waits until a script gives something true, and gives that.
    ///
    /// # Errors
    /// It does not within `wait`.
    pub fn until(&mut self, script: &str, wait: Duration) -> Result<Value, Problem> {
        let deadline = Instant::now() + wait;
        loop {
            let value = self.value(script);
            if let Ok(value) = &value
                && !matches!(value, Value::Null | Value::Bool(false))
            {
                return Ok(value.clone());
            }
            if Instant::now() > deadline {
                let shown = self.value("document.body.innerText");
                return Err(format!("{script} is {value:?} after {wait:?}; the page: {shown:?}"));
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Presses a key and lets it go: `Tab`, `Enter`, ` `, `ArrowRight`, with the number that Windows has for it.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn press(&mut self, key: &str) -> Result<(), Problem> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            "ArrowRight" => (39, ""),
            _ => return Err(format!("no key {key:?} is known here")),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": if key == " " { "Space" } else { key },
                                "windowsVirtualKeyCode": code, "text": if kind == "keyDown" { text } else { "" } });
            self.call("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// Writes where the focus is.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn write(&mut self, text: &str) -> Result<(), Problem> {
        self.call("Input.insertText", &json!({ "text": text })).map(|_| ())
    }

    /// A picture of the whole page, as a PNG file.
    ///
    /// # Errors
    /// The browser does not answer, or with nonsense.
    pub fn picture(&mut self) -> Result<Vec<u8>, Problem> {
        let size =
            self.value("[document.documentElement.clientWidth, document.documentElement.scrollHeight]")?;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let ask = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let told = self.call("Page.captureScreenshot", &ask)?;
        let text = told["data"].as_str().unwrap_or_default();
        STANDARD.decode(text).map_err(|error| format!("no picture: {error}"))
    }

    /// What axe-core finds that would keep somebody out of the page as it is now: rule, place, remedy. `cargo xtask test` brings
    /// it to `tools`.
    ///
    /// # Errors
    /// It is not there, or cannot judge.
    pub fn violations(&mut self, tools: &Path) -> Result<Vec<String>, Problem> {
        let path = tools.join("axe-core/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.value(&format!("{axe};0"))?;
        let words = "v.nodes.map(n => `${v.id}: ${n.html}: ${n.failureSummary}`)";
        let judged = self
            .value(&format!("axe.run().then(r => [r.passes.length, r.violations.flatMap(v => {words})])"))?;
        // One that has looked at nothing finds nothing.
        if judged[0].as_u64() < Some(10) {
            return Err(format!("axe-core has found {} rules to hold", judged[0]));
        }
        let found = judged[1].as_array().into_iter().flatten();
        Ok(found.map(|finding| finding.as_str().unwrap_or_default().to_owned()).collect())
    }

    /// What the page has complained about so far: errors and warnings of scripts, refusals of its policy, failed loads.
    pub fn complaints(&mut self) -> Vec<String> {
        while let Ok(message) = self.messages.try_recv() {
            self.hear(&message);
        }
        std::mem::take(&mut self.complaints)
    }

    /// What comes of one command.
    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value, Problem> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let (Some(session), Some(fields)) = (&self.session, message.as_object_mut()) {
            fields.insert("sessionId".to_owned(), session.as_str().into());
        }
        let failed = |cause: &dyn std::fmt::Display| format!("{method}: {cause}");
        let sent = self.input.write_all(format!("{message}\0").as_bytes());
        sent.and_then(|()| self.input.flush()).map_err(|error| failed(&error))?;
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).map_err(|error| failed(&error))?;
            if message["id"].as_u64() != Some(self.number) {
                self.hear(&message);
            } else if let Some(error) = message.get("error") {
                return Err(failed(error));
            } else {
                return Ok(message["result"].clone());
            }
        }
    }

    fn hear(&mut self, message: &Value) {
        let told = &message["params"];
        let is_loud = |level: &Value| ["error", "warning", "assert"].iter().any(|loud| level == loud);
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(&told["exceptionDetails"]),
            Some("Runtime.consoleAPICalled") => Some(&told["args"]).filter(|_| is_loud(&told["type"])),
            Some("Log.entryAdded") => Some(&told["entry"]).filter(|entry| is_loud(&entry["level"])),
            _ => None,
        };
        self.complaints.extend(complaint.map(Value::to_string));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        // All of these fail where it has ended already, which is what they are for.
        let _ = self.call("Browser.close", &json!({}));
        let deadline = Instant::now() + END_MAX;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(LOOK_INTERVAL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
