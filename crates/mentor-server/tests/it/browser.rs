//! The page in a real browser: a picture is dropped on it, and its class is read. Without a Chromium on the
//! PATH the test says that it was skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use mentor_server::http::HttpLimits;

use crate::client::start_with;
use crate::model::{Brightness, bitmap};

/// A browser that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Drops pictures on the page, which is in a frame as wide as a phone, and writes down what it then shows.
const DRIVER: &str = r##"<!doctype html>
<iframe src="/" width="360" height="800"></iframe>
<script>
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
addEventListener("load", async () => {
  const frame = document.querySelector("iframe");
  const { contentWindow: view, contentDocument: page } = frame;
  const found = [];
  const until = async (what) => { for (let i = 0; i < 200 && !what(); i += 1) await wait(25); };
  const status = () => page.getElementById("status").textContent;
  const drop = async (files) => {
    const data = new view.DataTransfer();
    for (const [name, content] of files) data.items.add(new view.File([content], name));
    page.getElementById("drop").dispatchEvent(
      new view.DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    await until(() => / done$|:/.test(status()));
  };
  const light = await (await fetch("/light.bmp")).arrayBuffer();
  await until(() => page.getElementById("about").textContent !== "");
  found.push(page.getElementById("about").textContent);
  await drop([["light.bmp", light]]);
  found.push(status(), page.querySelector("h2.class").textContent);
  found.push(page.querySelector("dl").textContent.replace(/\s+/g, " ").trim());
  await drop([["bad.png", "no picture"]]);
  found.push(status());
  const input = page.getElementById("file");
  input.focus();
  found.push(page.activeElement === input ? "the keyboard reaches it" : "the keyboard does not reach it");
  const { scrollWidth, clientWidth } = page.documentElement;
  found.push(scrollWidth <= clientWidth ? "fits" : `${scrollWidth} of ${clientWidth} px`);
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = found.join("\n");
  document.body.append(result);
});
</script>"##;

/// The first Chromium on the PATH.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let files = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

/// What the browser makes of an address, as HTML.
fn dump(browser: &Path, folder: &Path, address: &str) -> String {
    let dumped = folder.join("dumped.html");
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=20000", "--window-size=800,1000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(address)
        .env("HOME", folder)
        .stdout(File::create(&dumped).unwrap())
        .stderr(File::create(folder.join("log.txt")).unwrap())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the browser hangs: {}", fs::read_to_string(folder.join("log.txt")).unwrap());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::read_to_string(dumped).unwrap()
}

#[test]
fn a_picture_that_is_dropped_on_the_page_gets_its_class() {
    let Some(browser) = chromium() else {
        eprintln!("skipped: there is no Chromium on the PATH");
        return;
    };
    let own = Router::new()
        .route("/driver", get(async || Html(DRIVER)))
        .route("/light.bmp", get(async || bitmap(204)));
    let running = start_with(vec![Brightness::classifier()], &HttpLimits::default(), own);
    let folder = tempfile::tempdir().unwrap();
    let dumped = dump(&browser, folder.path(), &format!("http://{}/driver", running.address));
    let log = || fs::read_to_string(folder.path().join("log.txt")).unwrap();
    let (_, found) =
        dumped.rsplit_once("<pre id=\"found\">").unwrap_or_else(|| panic!("{dumped}\n{}", log()));
    let found: Vec<&str> = found.split_once("</pre>").unwrap().0.lines().collect();
    let expected = [
        "brightness: brightness, 2 classes",
        "1 picture done",
        "light",
        "light80.0 %dark20.0 %",
        "bad.png: not an image: it holds text (\"no picture\")",
        "the keyboard reaches it",
        "fits",
    ];
    assert_eq!(found, expected);
}
