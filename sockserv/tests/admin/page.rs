//! The page, as a browser shows it: live, in the light and in the dark, on a phone, by keyboard.

use std::io::{Read as _, Write as _};

use rustix::process::Signal;

use crate::Test;
use crate::browser::Browser;
use crate::served::{Served, say};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("page_is_alive", alive),
        ("page_is_legible_everywhere", legible),
        ("page_is_used_by_keyboard", keyboard),
    ]
}

fn open(served: &Served) -> Browser {
    let mut browser = Browser::open(&format!("http://{}/", served.admin[0]));
    browser.show(1280, 1100, "light");
    browser.wait("document.getElementById('state').textContent === 'ready'");
    browser
}

fn alive() {
    let served = Served::start_with("threading", &[("LAME", "yes")]);
    let mut clients: Vec<_> = (0..3).map(|_| served.connect()).collect();
    for client in &mut clients {
        assert_eq!(say(client, "text"), "text\n");
    }
    let mut browser = open(&served);
    browser.wait("document.getElementById('name').textContent === 'Lines'");
    browser.wait("document.getElementById('open').textContent === '3'");
    let peer = clients[0].local_addr().expect("it has one");
    browser.wait(&format!(
        "document.getElementById('list').innerText.includes('{peer}')"
    ));
    browser.wait("document.title === 'Lines: 3 open, ready'");

    let mut failing = clients.pop().expect("there are three");
    failing.write_all(b"fail\n").expect("it is taken");
    assert_eq!(failing.read(&mut [0]).expect("an end"), 0);
    browser.wait("document.getElementById('open').textContent === '2'");
    browser.wait("/handle\\s*1/.test(document.getElementById('errors').innerText)");
    browser.wait("/failed\\s*1/.test(document.getElementById('ends').innerText)");
    for plot in ["open", "rate", "bytes", "errors", "time"] {
        browser.wait(&format!(
            "document.querySelector('#plot-{plot} path.a').getAttribute('d').includes('L')"
        ));
    }

    served.signal(Signal::TERM);
    browser.wait("document.getElementById('state').textContent === 'lame duck'");
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    let own = format!("http://{}/", served.admin[0]);
    let elsewhere = |url: &&String| !url.starts_with(&own) && !url.starts_with("data:");
    let elsewhere: Vec<_> = browser.requests.iter().filter(elsewhere).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    drop(clients);
    browser.wait("document.getElementById('open').textContent === '0'");
    assert!(served.end().success());
    browser.wait("document.getElementById('state').textContent.startsWith('no answer since')");
}

/// The lowest contrast of any text with what is behind it: WCAG 2.2, 1.4.3.
const CONTRAST: &str = "(() => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const light = color => rgb(color).slice(0, 3)
        .map(part => part / 255).map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = getComputedStyle(element).backgroundColor;
            if (rgb(color)[3] !== 0) return color;
        }
    };
    const texts = [...document.querySelectorAll('body *')]
        .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .filter(element => element.checkVisibility() && !['SCRIPT', 'STYLE'].includes(element.tagName));
    return Math.min(...texts.map(element => {
        const [low, high] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    }));
})()";

fn legible() {
    let served = Served::start("threading");
    let mut clients: Vec<_> = (0..5).map(|_| served.connect()).collect();
    for (line, client) in ["hello".repeat(100), "text".repeat(30)]
        .iter()
        .cycle()
        .zip(&mut clients)
    {
        say(client, line);
    }
    let mut browser = open(&served);
    browser.wait("document.querySelector('#plot-rate path.a').getAttribute('d').includes('L')");
    let mut backs = Vec::new();
    for (name, width, height, scheme) in [
        ("admin-light.png", 1280, 1000, "light"),
        ("admin-dark.png", 1280, 1000, "dark"),
        ("admin-phone.png", 360, 1800, "light"),
        ("admin-phone-dark.png", 360, 1800, "dark"),
    ] {
        browser.show(width, height, scheme);
        let path = browser.save(name);
        assert!(
            std::fs::metadata(&path).is_ok_and(|file| file.len() > 10_000),
            "{}",
            path.display()
        );
        backs.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
        let contrast = browser.evaluate(CONTRAST);
        assert!(
            contrast.as_f64().is_some_and(|contrast| contrast >= 4.5),
            "{name}: {contrast}"
        );
        let width = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert!(
            width.as_i64().is_some_and(|beyond| beyond <= 0),
            "{name}: {width} pixels beyond the screen"
        );
    }
    assert_ne!(backs[0], backs[1]);
    let parts =
        "['header', 'main', 'nav', 'h1', 'caption', '[role=status]', 'html[lang]', 'noscript']";
    let missing = browser.evaluate(&format!(
        "{parts}.filter(part => !document.querySelector(part)).join()"
    ));
    assert_eq!(missing, "");
    let unnamed = "[...document.querySelectorAll('section, table, [role=region], [role=img], nav')]
        .filter(part => !part.ariaLabel && !part.getAttribute('aria-labelledby') && !part.caption)
        .map(part => part.outerHTML.slice(0, 80)).join()";
    assert_eq!(browser.evaluate(unnamed), "");
}

fn keyboard() {
    let served = Served::start("threading");
    let mut browser = open(&served);
    let mut seen = Vec::new();
    for _ in 0..7 {
        browser.press("Tab", 9);
        let here = "(document.activeElement.id || document.activeElement.textContent) + ' ' \
            + (getComputedStyle(document.activeElement).outlineStyle !== 'none')";
        seen.push(browser.evaluate(here));
    }
    let expected = [
        "Skip to the open requests true",
        "pause true",
        "requests true",
        "Metrics for Prometheus true",
        "Status as JSON true",
        "Health true",
        "Readiness true",
    ];
    assert_eq!(
        seen.iter()
            .map(|text| text.as_str().map(str::trim))
            .collect::<Vec<_>>(),
        expected.map(Some)
    );
    browser.evaluate("document.getElementById('pause').focus()");
    browser.press(" ", 32);
    browser.wait("document.getElementById('pause').ariaPressed === 'true'");
    browser.wait("document.getElementById('state').textContent === 'paused'");
    let _client = served.connect();
    browser.press(" ", 32);
    browser.wait("document.getElementById('state').textContent === 'ready'");
    browser.wait("document.getElementById('open').textContent === '1'");
    assert!(served.end().success());
}
