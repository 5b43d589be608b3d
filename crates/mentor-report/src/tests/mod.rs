//! The whole report: its parts, that it is one file, and that its markup is sound.

mod browser;

use super::{RunReport, fixture, render};

/// Every tag that is opened is closed, in order, but those that HTML never closes.
fn assert_well_formed(html: &str) {
    let body = html.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0;
    let mut open = Vec::new();
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag that is not closed");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed before {}", &rest[..rest.len().min(80)]);
        } else if !tag.ends_with('/') {
            let name = tag.split_whitespace().next().unwrap();
            if !["br", "img", "wbr"].contains(&name) {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
}

/// Attributes that place marks hold finite numbers.
fn assert_finite(html: &str) {
    for attribute in ["x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height", "fill-opacity"] {
        for value in html.split(&format!(" {attribute}=\"")).skip(1) {
            let value = value.split('"').next().unwrap();
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{attribute}={value}");
        }
    }
    for points in html.split(" points=\"").skip(1) {
        let points = points.split('"').next().unwrap();
        let numbers = points.split([' ', ',']).map(|number| number.parse::<f64>().unwrap());
        assert!(numbers.clone().count() >= 4 && numbers.into_iter().all(f64::is_finite), "{points}");
    }
}

/// Nothing is fetched: no address but those inside the file.
fn assert_self_contained(html: &str) {
    assert!(!html.contains("http:") && !html.contains("https:"), "an address outside the file");
    assert!(!html.contains("<link") && !html.contains("@import") && !html.contains("url("));
    for attribute in ["src=\"", "href=\""] {
        for address in html.split(attribute).skip(1) {
            assert!(
                address.starts_with("data:image/png;base64,") || address.starts_with('#'),
                "{}",
                &address[..30]
            );
        }
    }
}

/// Ids are unique, and what refers to them finds them.
fn assert_ids(html: &str) {
    let ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let distinct: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an id twice");
    for references in html.split("aria-labelledby=\"").skip(1) {
        for id in references.split('"').next().unwrap().split(' ') {
            assert!(ids.contains(&id), "{id} is nowhere");
        }
    }
}

pub(super) fn assert_sound(html: &str) {
    assert_well_formed(html);
    assert_finite(html);
    assert_self_contained(html);
    assert_ids(html);
    assert!(!html.contains("<script>.png") && !html.contains("<cat>"), "a name that is not escaped");
}

#[test]
fn one_run_has_every_part() {
    let html = render(&[fixture::complete("runs/demo")]);
    for part in [
        "<h1>demo</h1>",
        "Configuration",
        "<h3>Loss</h3>",
        "<h3>Data loss and penalty, apart</h3>",
        "<h3>Accuracy</h3>",
        "<h3>Learning rate</h3>",
        "<h3>Confusion matrix</h3>",
        "<h3>Classes</h3>",
        "<h3>Calibration</h3>",
        "<h3>Samples with the highest loss</h3>",
        "<h3>Weights of each class</h3>",
        "<h3>Histogram of the weights</h3>",
        "<h3>Cost along one weight</h3>",
        "<h3>Cost along the way</h3>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("Side by side"));
    assert_sound(&html);
}

#[test]
fn an_embedding_run_has_its_parts_and_each_picture_once() {
    let run = || RunReport { embeddings: Some(fixture::embeddings()), ..fixture::complete("runs/faces") };
    // As after training: an embedding model has no scores to analyse, and nothing is missing.
    assert!(!render(&[RunReport { analysis: None, ..run() }]).contains("is missing"));
    let html = render(&[run()]);
    for part in [
        "<small>on 1,000 test images, 32 values each</small>",
        "<h3>Retrieval</h3>",
        "<h3>Distances of pairs</h3>",
        "<h3>Map of the embeddings</h3>",
        "<h3>Triplets by difficulty</h3>",
        "<h3>Distances and lengths</h3>",
        "<h3>Nearest neighbours</h3>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_sound(&html);
    let with_sheet = html.matches("data:image/png").count();
    let without = render(&[fixture::complete("runs/faces")]).matches("data:image/png").count();
    assert_eq!(with_sheet, without + 1);
    // Two such runs on a page keep their sheets apart.
    let run = |name| RunReport { embeddings: Some(fixture::embeddings()), ..fixture::complete(name) };
    assert_sound(&render(&[run("runs/a"), run("runs/b")]));
}

#[test]
fn embeddings_that_are_not_finite_leave_the_report_sound() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308] {
        let mut embeddings = fixture::embeddings();
        embeddings.retrieval.precision_at_1 = Some(bad);
        embeddings.retrieval.intervals.map_at_r = Some([0.5, bad]);
        embeddings.distances.high = bad;
        embeddings.distances.mean_positive = Some(bad);
        embeddings.map.points[0].x = bad as f32;
        embeddings.map.explained[0] = bad;
        embeddings.rows[0].neighbours[0].distance = bad;
        embeddings.health[1].easy = Some(bad);
        embeddings.health[2].embedding_spread = bad;
        let html = render(&[RunReport { embeddings: Some(embeddings), ..fixture::complete("runs/a") }]);
        assert_sound(&html);
        assert!(!html.split_once("<script>").unwrap().0.contains("NaN"), "{bad}");
    }
}

#[test]
fn two_runs_are_compared_and_then_shown() {
    let mut second = fixture::complete("runs/<b>");
    second.config.loss.name = Some("svm".to_owned());
    let html = render(&[fixture::complete("runs/a"), second]);
    for part in [
        "2 runs compared",
        "Side by side",
        "id=\"all-loss-t\"",
        "loss.<wbr>name",
        "id=\"r1\"",
        "id=\"r2\"",
        "do not compare",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("<b></a>"), "a run's name that is not escaped");
    assert_sound(&html);
}

#[test]
fn runs_that_differ_in_their_penalty_are_not_compared_by_their_loss() {
    let mut second = fixture::complete("runs/b");
    second.config.penalty.l2 = Some(0.5);
    let html = render(&[fixture::complete("runs/a"), second]);
    assert!(html.contains("losses or penalties, whose sums do not compare"));
    // Their data losses do.
    assert!(html.contains("the best run has the lowest solid line"));
}

#[test]
fn validation_is_solid_and_training_dashed_in_one_run_and_in_several() {
    let keys = |html: &str, label: &str| -> Vec<String> {
        let items =
            html.split("<i class=\"key ").skip(1).filter_map(|item| item.split_once("\" aria-hidden"));
        let named = items
            .filter(|(_, rest)| rest.split_once("</i>").unwrap().1.starts_with(&format!("{label}</li>")));
        named.map(|(class, _)| class.to_owned()).collect()
    };
    for runs in [vec!["runs/a"], vec!["runs/a", "runs/b"]] {
        let html = render(&runs.into_iter().map(fixture::complete).collect::<Vec<_>>());
        for solid in ["validation", "data loss, validation"] {
            let classes = keys(&html, solid);
            assert!(!classes.is_empty() && !classes.iter().any(|class| class.contains("d")), "{classes:?}");
        }
        let training = [keys(&html, "training"), keys(&html, "data loss, training")].concat();
        assert!(
            !training.is_empty() && training.iter().all(|class| class.contains("dashed")),
            "{training:?}"
        );
    }
}

#[test]
fn a_ninth_run_has_the_first_colour_with_other_dashes_and_the_legend_says_so() {
    let runs = |count| (1..=count).map(|run| fixture::complete(&format!("runs/{run}"))).collect::<Vec<_>>();
    assert!(!render(&runs(8)).contains("ninth"));
    let html = render(&runs(9));
    for part in [
        "<polyline class=\"line s0 second ",
        "<i class=\"key s0 second\" aria-hidden=\"true\"></i>9</li>",
        "<i class=\"key mark second dashed\" aria-hidden=\"true\"></i>training, from the ninth run on</li>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_sound(&html);
}

#[test]
fn an_incomplete_run_shows_its_curves_and_says_so() {
    let html = render(&[fixture::incomplete("runs/a")]);
    assert!(html.contains("This run is not complete") && html.contains("<h3>Loss</h3>"));
    assert!(!html.contains("Confusion matrix"));
    assert_sound(&html);
    let nothing_yet = RunReport { history: Default::default(), ..fixture::incomplete("runs/a") };
    let html = render(&[nothing_yet]);
    assert!(html.contains("there is no curve to draw"));
    assert_sound(&html);
}

#[test]
fn numbers_that_are_not_finite_leave_the_report_sound() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308] {
        let mut run = fixture::complete("runs/a");
        run.history.epochs[1].train_loss = bad;
        run.history.epochs[1].penalty = bad;
        run.history.epochs[2].val_loss = Some(bad);
        run.history.epochs[2].val_accuracy = Some(bad);
        run.history.steps[5].data_loss = bad;
        run.history.steps[5].learning_rate = bad;
        let summary = run.summary.as_mut().unwrap();
        (summary.val_loss, summary.wall_secs) = (Some(bad), bad);
        let analysis = run.analysis.as_mut().unwrap();
        analysis.evaluation.ece = bad;
        analysis.evaluation.calibration[1].accuracy = Some(bad);
        analysis.hardest[0].loss = bad;
        (analysis.histogram.low, analysis.histogram.rms) = (bad, bad);
        let line = analysis.along_line.as_mut().unwrap();
        (line.cost[0], line.at[1], line.path[0].cost, line.path[1].at) = (bad, bad, bad, bad);
        let html = render(&[run]);
        assert_sound(&html);
        // The script knows the word.
        assert!(!html.split_once("<script>").unwrap().0.contains("NaN"), "{bad}");
    }
}

#[test]
fn a_run_directory_is_read_whether_complete_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let run = mentor_run::RunDir::create(&dir.path().join("run"), &fixture::config()).unwrap();
    let mut writer = run.metrics_writer(0).unwrap();
    fixture::metrics(3).iter().for_each(|line| writer.write(line).unwrap());
    let read = RunReport::read(run.path()).unwrap();
    assert!(read.summary.is_none() && read.history.epochs.len() == 3);
    run.write_json("analysis.json", &fixture::analysis()).unwrap();
    run.write_json("summary.json", &fixture::summary()).unwrap();
    let read = RunReport::read(run.path()).unwrap();
    assert_eq!(read.analysis, Some(fixture::analysis()));
    assert_eq!(read.summary, Some(fixture::summary()));
    assert_eq!(read.embeddings, None);
    run.write_json("embeddings.json", &fixture::embeddings()).unwrap();
    assert_eq!(RunReport::read(run.path()).unwrap().embeddings, Some(fixture::embeddings()));
    run.write("embeddings.json", b"[]").unwrap();
    assert!(RunReport::read(run.path()).is_err());
    std::fs::remove_file(run.path().join("embeddings.json")).unwrap();
    run.write("analysis.json", b"{").unwrap();
    assert!(RunReport::read(run.path()).is_err());
    assert!(RunReport::read(dir.path()).is_err());
}
