//! The report in a real browser, at three widths: nothing is wider than the page, no words lie on others, and
//! the words of plots can be read. Without a Chromium on the PATH the test says that it was skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mentor_metrics::classification::{CalibrationBin, ClassMetrics, Confusion};
use mentor_run::records::analysis::HardSample;
use mentor_run::records::embeddings::MapPoint;

use crate::drawing::html::escape;
use crate::sections::{fidelity, self_training};
use crate::{RunReport, fixture, render};

/// Widths of a phone, of half a window and of a whole one, in pixels.
const WIDTHS: [usize; 3] = [360, 500, 1400];
/// A browser that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures every frame when all are loaded, and leaves the problems in `<pre id="problems">`.
const MEASURE: &str = r##"
window.addEventListener("load", () => {
  const problems = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument;
    const width = page.documentElement.clientWidth;
    const say = (text) => problems.push(`${frame.title} at ${frame.width} px: ${text}`);
    const classes = (element) => element.getAttribute("class") ?? "";
    const name = (element) => `<${element.tagName.toLowerCase()} class="${classes(element)}">`;
    page.querySelectorAll("details").forEach((details) => (details.open = true));
    const whole = page.documentElement.scrollWidth;
    if (whole > width) say(`the page is ${whole} px wide`);
    for (const element of page.body.querySelectorAll("*")) {
      // What is in a box that scrolls may be wider than the page, but not the box.
      if (element.parentElement.closest(".scroll, .found")) continue;
      const box = element.getBoundingClientRect();
      if (box.width > 1 && (box.right > width + 1 || box.left < -1)) {
        say(`${name(element)} reaches from ${box.left} to ${box.right}`);
      }
    }
    for (const plot of page.querySelectorAll("svg.plot, svg.matrix")) {
      const words = [...plot.querySelectorAll("text")].map((word) => [word, word.getBoundingClientRect()]);
      words.forEach(([word, box], index) => {
        const size = parseFloat(page.defaultView.getComputedStyle(word).fontSize) * plot.getScreenCTM().a;
        const tiny = size < 9 && !word.matches(".count");
        if (tiny) say(`"${word.textContent}" is ${size} px high in ${name(plot)}`);
        for (const [other, place] of words.slice(index + 1)) {
          const across = Math.min(box.right, place.right) - Math.max(box.left, place.left);
          const down = Math.min(box.bottom, place.bottom) - Math.max(box.top, place.top);
          // A box has the room of a line about its letters; words that are turned have it at their sides.
          const turned = box.height > box.width && place.height > place.width;
          const [along, lines] = turned ? [down, across] : [across, down];
          const heights = turned ? [box.width, place.width] : [box.height, place.height];
          const room = 0.4 * Math.min(...heights, 20);
          const both = `"${word.textContent}" and "${other.textContent}"`;
          if (along > 1 && lines > room) say(`${both} meet in ${name(plot)}`);
        }
      });
    }
  }
  const result = document.createElement("pre");
  result.id = "problems";
  result.textContent = problems.join("\n");
  document.body.append(result);
});
"##;

/// The first Chromium on the PATH.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let files = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

/// What the browser makes of a page, as HTML.
fn dump(browser: &Path, folder: &Path, page: &str) -> String {
    let (file, dumped) = (folder.join("page.html"), folder.join("dumped.html"));
    fs::write(&file, page).unwrap();
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=10000", "--window-size=1500,1000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()))
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

/// Lines about everything that is wrong with the pages.
fn problems(browser: &Path, reports: &[(String, String)]) -> String {
    let frames: String = reports
        .iter()
        .flat_map(|(title, html)| {
            // Escaped twice where it must be: the attribute holds a whole document.
            let document = html.replace('&', "&amp;").replace('"', "&quot;");
            WIDTHS.map(|width| {
                format!(
                    "<iframe title=\"{title}\" width=\"{width}\" height=\"900\" \
                         srcdoc=\"{document}\"></iframe>\n"
                )
            })
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let page = format!("<!doctype html><meta charset=\"utf-8\"><script>{MEASURE}</script>{frames}");
    let dumped = dump(browser, folder.path(), &page);
    let log = || fs::read_to_string(folder.path().join("log.txt")).unwrap();
    let (_, result) = dumped.rsplit_once("<pre id=\"problems\">").unwrap_or_else(|| panic!("{}", log()));
    result.split_once("</pre>").unwrap().0.to_owned()
}

/// Names that a page may have to show: long without a place to break, from right to left, wide, and plain.
fn name(index: usize) -> String {
    match index % 4 {
        0 => format!("{}{index}", "unbreakable".repeat(30)),
        1 => format!("קטגוריה ארוכה מאוד של תמונות {index}"),
        2 => format!("非常に長い名前の分類第{index}号"),
        _ => format!("c{index}"),
    }
}

/// A classifier of so many classes.
fn classifier(num_classes: usize, name: fn(usize) -> String) -> RunReport {
    let mut run = fixture::complete(&format!("runs/{}", "a-very-long-name-of-a-run-".repeat(8)));
    run.config.data.source = Some(format!("photos/{}", "holidays".repeat(30)));
    let analysis = run.analysis.as_mut().unwrap();
    let metrics = analysis.evaluation.per_class[0].clone();
    analysis.evaluation.per_class =
        (0..num_classes).map(|class| ClassMetrics { class: name(class), ..metrics.clone() }).collect();
    // As many images as fill the cells with four digits, and with three.
    let count = |row: u32, column: u32| if row == column { 4321 } else { (row + column) % 3 * 100 };
    let classes = 0..num_classes as u32;
    let cells = classes.clone().flat_map(|row| classes.clone().map(move |column| (row, column)));
    let pairs = cells.flat_map(|(row, column)| (0..count(row, column)).map(move |_| (row, column)));
    analysis.evaluation.confusion = Confusion::of(num_classes, pairs);
    let bin = analysis.evaluation.calibration[1].clone();
    analysis.evaluation.calibration = vec![CalibrationBin { num_samples: 123_456, ..bin }; 15];
    let hard = HardSample { id: format!("{}.png", "folder/".repeat(60)), ..analysis.hardest[0].clone() };
    analysis.hardest = vec![hard; 12];
    run
}

/// Embeddings of classes that all lie in one place.
fn embedding_model(loss: &str) -> RunReport {
    let mut embeddings = fixture::embeddings();
    embeddings.classes = (0..12).map(name).collect();
    let point = embeddings.map.points[0].clone();
    embeddings.map.points = (0..120).map(|index| MapPoint { label: index % 12, ..point.clone() }).collect();
    (embeddings.distances.mean_positive, embeddings.distances.mean_negative) = (Some(0.94), Some(1.01));
    let row = &mut embeddings.rows[0];
    row.query.id = "long/".repeat(80);
    row.neighbours = vec![row.neighbours[0].clone(); 10];
    embeddings.rows = vec![row.clone(); 12];
    let mut run =
        RunReport { embeddings: Some(embeddings), analysis: None, ..fixture::complete("runs/faces") };
    run.config.loss.name = Some(loss.to_owned());
    run
}

fn reports() -> Vec<(String, String)> {
    let mut svm = classifier(12, name);
    svm.config.loss.name = Some("svm".to_owned());
    let long = |index: usize| fixture::complete(&format!("runs/{index}-{}", "long".repeat(40)));
    let compared: Vec<RunReport> = (0..9).map(long).collect();
    let distilled =
        || RunReport { distillation: Some(fidelity::tests::found()), ..fixture::complete("runs/student") };
    let embedded =
        || RunReport { embedding_fidelity: Some(fidelity::tests::embedded()), ..embedding_model("triplet") };
    let mut self_trained = fixture::complete("runs/self");
    self_trained.self_training = Some(self_training::tests::found());
    let small = |index: usize| format!("{index}");
    [
        ("softmax of one class", render(&[classifier(1, name)])),
        ("softmax of ten digits", render(&[classifier(10, small)])),
        ("svm of twelve classes", render(&[svm])),
        ("softmax of twenty classes", render(&[classifier(20, small)])),
        ("softmax of forty classes", render(&[classifier(40, name)])),
        ("softmax of a hundred classes", render(&[classifier(100, name)])),
        ("triplet", render(&[embedding_model("triplet")])),
        ("contrastive", render(&[embedding_model("contrastive")])),
        ("distil", render(&[distilled()])),
        ("distil of embeddings", render(&[embedded()])),
        ("self-train", render(&[self_trained])),
        ("comparison", render(&compared)),
        ("incomplete", render(&[fixture::incomplete("runs/begun")])),
    ]
    .map(|(title, html)| (escape(title), html))
    .into()
}

#[test]
fn no_report_is_wider_than_its_page_and_no_words_lie_on_others() {
    let Some(browser) = chromium() else {
        eprintln!("skipped: there is no Chromium on the PATH");
        return;
    };
    let reports = reports();
    if let Some(folder) = std::env::var_os("MENTOR_KEEP_REPORTS") {
        // To look at them.
        for (title, html) in &reports {
            fs::write(Path::new(&folder).join(format!("{title}.html")), html).unwrap();
        }
    }
    let found = problems(&browser, &reports);
    assert_eq!(found, "", "{found}");
    // What the test looks for, it finds.
    let words = "<svg class=\"plot\" viewBox=\"0 0 520 99\"><text x=\"9\" y=\"20\" \
                 font-size=\"5\">one</text><text x=\"9\" y=\"21\" font-size=\"5\">two</text></svg>";
    let wide = format!("<!doctype html><body>{words}<p style=\"width:2000px\">wide</p>");
    let found = problems(&browser, &[("bad".to_owned(), wide)]);
    for what in
        ["at 360 px: the page is 2", "at 1400 px: the page is 2", "reaches from", "meet in", "px high in"]
    {
        assert!(found.contains(what), "{what}: {found}");
    }
}
