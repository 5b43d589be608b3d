//! What was asked and answered: the pictures, the answers, and which picture comes next.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use mentor_data::Limits;
use serde::Serialize;

use crate::error::AnnotateError;
use crate::labels_file::{LabelsFile, Line};
use crate::learner::Learned;

/// The columns of the labels, which `mentor train` reads.
pub(crate) const LABELS: &str = "path,label,when\n";
/// The columns of what has no label.
pub(crate) const ASIDE: &str = "path,why,when\n";
/// Why a picture has no label.
const WHYS: [&str; 2] = ["unsure", "none"];
/// Pictures on the page at once.
const GRID: usize = 20;

/// A picture.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) file: PathBuf,
    /// In the file of labels.
    pub(crate) name: String,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The picture is of this class.
    Class(u32),
    /// The person is unsure (0), or it is of none of the classes (1).
    Aside(usize),
}

/// All that is known, in one place.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) items: Vec<Item>,
    pub(crate) classes: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) learned: Learned,
    labels: LabelsFile,
    aside: LabelsFile,
    answers: Vec<Option<Answer>>,
    /// The pictures answered, the last one last.
    history: Vec<u32>,
    /// Pictures that come again when all others are answered.
    skipped: HashSet<u32>,
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct State<'a> {
    classes: &'a [String],
    /// Answers of each class.
    counts: Vec<usize>,
    num_images: usize,
    num_labels: usize,
    num_aside: usize,
    /// Held-out accuracy, and of how many answers.
    accuracy: Option<f64>,
    num_learned: usize,
    can_undo: bool,
    picture: Option<Shown<'a>>,
    /// Pictures that are probably of the class that was filtered by.
    grid: Vec<Shown<'a>>,
}

/// A picture, and what is thought of it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown<'a> {
    index: u32,
    name: &'a str,
    predicted: Option<u32>,
    confidence: Option<f32>,
}

impl Session {
    /// Continues what the two files hold.
    pub(crate) fn open(
        items: Vec<Item>,
        classes: Vec<String>,
        limits: Limits,
        labels: &std::path::Path,
    ) -> Result<Self, AnnotateError> {
        check(&classes)?;
        let aside_path = labels.with_extension("aside.csv");
        let (labels_file, lines) = LabelsFile::open(labels, LABELS)?;
        let (aside, aside_lines) = LabelsFile::open(&aside_path, ASIDE)?;
        let places: HashMap<&str, u32> =
            (0..).zip(&items).map(|(index, item)| (item.name.as_str(), index)).collect();
        let mut answers = vec![None; items.len()];
        let mut given: Vec<(String, u32)> = Vec::new();
        let sides =
            [(labels, lines, &classes), (&*aside_path, aside_lines, &WHYS.map(String::from).to_vec())];
        for (side, (path, lines, names)) in sides.into_iter().enumerate() {
            for Line { path: name, what, when, number } in lines {
                let wrong = |reason| AnnotateError::Line { path: path.to_owned(), line: number, reason };
                let Some(&index) = places.get(name.as_str()) else {
                    return Err(wrong(format!("{name:?} is none of these pictures")));
                };
                let Some(place) = names.iter().position(|known| *known == what) else {
                    return Err(wrong(format!("{what:?} is none of the classes")));
                };
                if answers[index as usize].is_some() {
                    return Err(wrong(format!("{name:?} is answered before")));
                }
                answers[index as usize] = Some(match side {
                    0 => Answer::Class(place as u32),
                    _ => Answer::Aside(place),
                });
                given.push((when, index));
            }
        }
        // Each file is in order already; the sort is stable.
        given.sort_by(|a, b| a.0.cmp(&b.0));
        let history = given.into_iter().map(|(_, index)| index).collect();
        Ok(Self {
            items,
            classes,
            limits,
            learned: Learned::default(),
            labels: labels_file,
            aside,
            answers,
            history,
            skipped: HashSet::new(),
        })
    }

    /// Writes the same answer for pictures that have none; others are left as they are.
    pub(crate) fn answer(&mut self, indices: &[u32], answer: Answer) -> Result<(), AnnotateError> {
        let mut fresh: Vec<u32> = Vec::new();
        for &index in indices {
            let is_open = self.answers.get(index as usize) == Some(&None);
            if is_open && !fresh.contains(&index) {
                fresh.push(index);
            }
        }
        let names: Vec<&str> = fresh.iter().map(|&index| self.items[index as usize].name.as_str()).collect();
        match answer {
            Answer::Class(class) => match self.classes.get(class as usize) {
                Some(class) => self.labels.append(&names, class)?,
                None => return Ok(()),
            },
            Answer::Aside(why) => match WHYS.get(why) {
                Some(why) => self.aside.append(&names, why)?,
                None => return Ok(()),
            },
        }
        for index in fresh {
            self.answers[index as usize] = Some(answer);
            self.history.push(index);
        }
        Ok(())
    }

    /// Takes the last answer back, and shows its picture again.
    pub(crate) fn undo(&mut self) -> Result<(), AnnotateError> {
        let Some(&index) = self.history.last() else { return Ok(()) };
        match self.answers[index as usize] {
            Some(Answer::Class(_)) => self.labels.remove_last()?,
            Some(Answer::Aside(_)) => self.aside.remove_last()?,
            None => {}
        }
        self.history.pop();
        self.answers[index as usize] = None;
        self.skipped.remove(&index);
        self.learned.order.insert(0, index);
        Ok(())
    }

    /// Shows the picture after all others.
    pub(crate) fn skip(&mut self, index: u32) {
        self.skipped.insert(index);
    }

    /// The class of each picture that has one, and which pictures are answered.
    pub(crate) fn known(&self) -> (Vec<Option<u32>>, Vec<bool>) {
        let class = |answer: &Option<Answer>| match answer {
            Some(Answer::Class(class)) => Some(*class),
            _ => None,
        };
        (self.answers.iter().map(class).collect(), self.answers.iter().map(Option::is_some).collect())
    }

    /// Answers that are labels.
    pub(crate) fn num_labels(&self) -> usize {
        self.answers.iter().filter(|answer| matches!(answer, Some(Answer::Class(_)))).count()
    }

    /// What the page shows, of all pictures or of those that are probably of one class.
    pub(crate) fn state(&self, filter: Option<u32>) -> State<'_> {
        let mut counts = vec![0; self.classes.len()];
        let mut num_aside = 0;
        for answer in self.answers.iter().flatten() {
            match answer {
                Answer::Class(class) => counts[*class as usize] += 1,
                Answer::Aside(_) => num_aside += 1,
            }
        }
        State {
            classes: &self.classes,
            num_labels: counts.iter().sum(),
            counts,
            num_images: self.items.len(),
            num_aside,
            accuracy: self.learned.accuracy,
            num_learned: self.learned.num_answers,
            can_undo: !self.history.is_empty(),
            picture: self.next(filter).map(|index| self.shown(index)),
            grid: filter.map(|class| self.grid(class)).unwrap_or_default(),
        }
    }

    fn shown(&self, index: u32) -> Shown<'_> {
        let predicted = self.learned.predicted.get(index as usize);
        Shown {
            index,
            name: &self.items[index as usize].name,
            predicted: predicted.map(|found| found.0),
            confidence: predicted.map(|found| found.1),
        }
    }

    fn is_open(&self, index: u32, filter: Option<u32>) -> bool {
        let predicted = self.learned.predicted.get(index as usize).map(|found| found.0);
        self.answers[index as usize].is_none() && (filter.is_none() || predicted == filter)
    }

    /// The most useful picture without an answer; then any; skipped ones last.
    fn next(&self, filter: Option<u32>) -> Option<u32> {
        let all = 0..self.items.len() as u32;
        let in_order = self.learned.order.iter().copied().chain(all.clone());
        let mut open = in_order.filter(|&index| self.is_open(index, filter));
        open.find(|index| !self.skipped.contains(index))
            .or_else(|| all.into_iter().find(|&index| self.is_open(index, filter)))
    }

    /// The pictures that are most probably of a class.
    fn grid(&self, class: u32) -> Vec<Shown<'_>> {
        let all = 0..self.items.len() as u32;
        let mut open: Vec<u32> = all.filter(|&index| self.is_open(index, Some(class))).collect();
        let confidence = |index: u32| self.learned.predicted[index as usize].1;
        open.sort_by(|&a, &b| confidence(b).total_cmp(&confidence(a)).then(a.cmp(&b)));
        open.into_iter().take(GRID).map(|index| self.shown(index)).collect()
    }
}

fn check(classes: &[String]) -> Result<(), AnnotateError> {
    if !(2..=100).contains(&classes.len()) {
        return Err(AnnotateError::NumClasses { found: classes.len() });
    }
    for (place, name) in classes.iter().enumerate() {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(AnnotateError::ClassName { name: name.clone() });
        }
        if classes[..place].contains(name) {
            return Err(AnnotateError::EqualClasses { name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn open(labels: &Path, names: &[&str], classes: &[&str]) -> Result<Session, AnnotateError> {
        let item = |name: &&str| Item { file: PathBuf::from(name), name: (*name).to_owned() };
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        Session::open(names.iter().map(item).collect(), classes, Limits::default(), labels)
    }

    #[test]
    fn answers_are_kept_once_each_and_undone_across_both_files_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let labels = dir.path().join("labels.csv");
        let names = ["a.png", "b.png", "c.png", "d.png"];
        let mut session = open(&labels, &names, &["cat", "dog"]).unwrap();
        session.answer(&[0], Answer::Class(1)).unwrap();
        session.answer(&[0, 1, 1], Answer::Class(0)).unwrap();
        session.answer(&[2], Answer::Aside(0)).unwrap();
        drop(session);
        let mut session = open(&labels, &names, &["cat", "dog"]).unwrap();
        assert_eq!(session.state(None).picture.unwrap().index, 3);
        assert_eq!((session.num_labels(), session.state(None).num_aside), (2, 1));
        let text = fs::read_to_string(&labels).unwrap();
        assert_eq!(text.matches(".png").count(), 2);
        session.undo().unwrap();
        assert_eq!(session.state(None).picture.unwrap().index, 2);
        session.undo().unwrap();
        session.undo().unwrap();
        session.undo().unwrap();
        assert_eq!(fs::read_to_string(&labels).unwrap(), LABELS);
        assert!(!session.state(None).can_undo);
    }

    #[test]
    fn a_skipped_picture_comes_last() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = open(&dir.path().join("l.csv"), &["a", "b"], &["x", "y"]).unwrap();
        session.skip(0);
        assert_eq!(session.state(None).picture.unwrap().index, 1);
        session.answer(&[1], Answer::Class(0)).unwrap();
        assert_eq!(session.state(None).picture.unwrap().index, 0);
        session.answer(&[0], Answer::Class(0)).unwrap();
        assert!(session.state(None).picture.is_none());
    }

    #[test]
    fn a_filter_shows_what_is_probably_of_the_class_the_surest_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = open(&dir.path().join("l.csv"), &["a", "b", "c"], &["x", "y"]).unwrap();
        session.learned.predicted = vec![(1, 0.6), (0, 0.9), (1, 0.8)];
        let state = session.state(Some(1));
        assert_eq!(state.grid.iter().map(|shown| shown.index).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(state.picture.unwrap().index, 0);
    }

    #[test]
    fn labels_of_other_pictures_or_classes_and_equal_names_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let labels = dir.path().join("labels.csv");
        fs::write(&labels, "path,label,when\nelse.png,cat,2026\n").unwrap();
        let error = open(&labels, &["a.png"], &["cat", "dog"]).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("none of these pictures"), "{error}");
        fs::write(&labels, "path,label,when\na.png,cow,2026\n").unwrap();
        let error = open(&labels, &["a.png"], &["cat", "dog"]).unwrap_err().to_string();
        assert!(error.contains("\"cow\" is none of the classes"), "{error}");
        for classes in [&["cat", "cat"][..], &["cat"], &["cat", " "]] {
            assert!(open(&dir.path().join("new.csv"), &["a.png"], classes).unwrap_err().is_usage());
        }
        assert!(!dir.path().join("new.csv").exists());
    }
}
