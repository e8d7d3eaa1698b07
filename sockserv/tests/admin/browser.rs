//! Chromium without a window, told what to do over a pipe: the protocol of its developer tools.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// The browser reads its orders from descriptor 3 and answers on 4; without root's rights it shuts itself in.
const START: &str = r#"
    [ "$(id -u)" -ne 0 ] || set -- --no-sandbox "$@"
    exec chromium --headless --disable-gpu --disable-dev-shm-usage --no-first-run --remote-debugging-pipe \
        "$@" 3<&0 4>&1 1>&2 2>/dev/null 0</dev/null
"#;

/// A browser with one page.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    count: u64,
    session: Option<String>,
    profile: PathBuf,
    /// Where it went, and what it complained of.
    pub(crate) requests: Vec<String>,
    pub(crate) complaints: Vec<Value>,
}

impl Browser {
    pub(crate) fn open(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (own, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let profile = folder().join(format!("chromium-{own}-{count}"));
        let mut child = Command::new("sh")
            .args(["-c", START, "sh"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let orders = child.stdin.take().expect("it was asked for");
        let answers = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut browser = Self {
            child,
            orders,
            answers,
            count: 0,
            session: None,
            profile,
            requests: Vec::new(),
            complaints: Vec::new(),
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Network", "Page"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.call("Page.navigate", &json!({ "url": url }));
        browser
    }

    /// Gives an order and returns its result; what happens meanwhile is kept.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.count += 1;
        let mut order = json!({ "id": self.count, "method": method, "params": params });
        if let Some(session) = &self.session {
            order["sessionId"] = session.as_str().into();
        }
        write!(self.orders, "{order}\0").expect("the browser runs");
        loop {
            let mut answer = Vec::new();
            self.answers
                .read_until(0, &mut answer)
                .expect("the browser runs");
            assert_eq!(answer.pop(), Some(0), "the browser has ended");
            let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
            if answer["id"] == self.count {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = event["params"]["request"]["url"].as_str();
                self.requests.extend(url.map(str::to_owned));
            }
            Some("Runtime.exceptionThrown" | "Log.entryAdded") => {
                self.complaints.push(event.clone())
            }
            _ => {}
        }
    }

    /// Evaluates an expression in the page, and waits for it if it is a promise.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let order =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", &order);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }

    /// Waits until an expression is true; it is looked at whenever the page has changed.
    pub(crate) fn wait(&mut self, expression: &str) {
        let seen = self.evaluate(&format!(
            "new Promise(done => {{
                const is_so = () => {{ try {{ return {expression}; }} catch {{ return false; }} }};
                if (is_so()) return done(true);
                const changed = () => {{ if (is_so()) {{ observer.disconnect(); done(true); }} }};
                const observer = new MutationObserver(changed);
                const all = {{ subtree: true, childList: true, characterData: true, attributes: true }};
                observer.observe(document, all);
                setTimeout(() => done(document.body.innerText), 20000);
            }})"
        ));
        assert_eq!(seen, true, "never: {expression}");
    }

    pub(crate) fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == " " && kind == "keyDown" {
                " "
            } else {
                ""
            };
            let order =
                json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", &order);
        }
    }

    /// Shows the page as on a screen of this size, in the light or in the dark.
    pub(crate) fn show(&mut self, width: u32, height: u32, scheme: &str) {
        let mobile = width < 600;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &scheme);
    }

    /// Saves what is seen where it can be looked at.
    pub(crate) fn save(&mut self, name: &str) -> PathBuf {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let path = folder().join(name);
        let base64 = shot["data"].as_str().expect("a picture");
        fs::write(&path, decode(base64)).expect("the folder is there");
        path
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when nobody can tell it anything any more; if it does not, it is made to.
        let _ = self
            .orders
            .write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = self.answers.read_to_end(&mut Vec::new());
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// Where tests may leave something.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn decode(base64: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = base64.bytes();
    let digits: Vec<u32> = digits
        .filter_map(|byte| ALPHABET.iter().position(|digit| *digit == byte))
        .map(|digit| digit as u32)
        .collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
