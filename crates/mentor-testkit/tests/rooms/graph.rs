//! Who takes what from whom: arrows between files, and what must not be among them.

use std::collections::{BTreeMap, BTreeSet};

use crate::module::{Module, Path};

/// Files, and the arrows from each to those whose items it takes.
pub(crate) struct Graph<'a> {
    modules: &'a [Module],
    arrows: Vec<BTreeSet<usize>>,
}

impl<'a> Graph<'a> {
    pub(crate) fn new(modules: &'a [Module]) -> Self {
        let by_place: BTreeMap<&[String], usize> =
            modules.iter().enumerate().map(|(index, module)| (module.place.as_slice(), index)).collect();
        let arrows = modules.iter().enumerate().map(|(index, module)| {
            // A name that is only passed on is no need of this file.
            let needed = module.uses.iter().filter(|path| !path.passed_on || module.mentions(&path.here));
            let found = needed.chain(&module.written).filter_map(|path| {
                let start = absolute(module, path, &by_place)?;
                owner(modules, &by_place, &start, 0)
            });
            found.filter(|&other| other != index).collect()
        });
        let arrows = arrows.collect();
        Self { modules, arrows }
    }

    /// Every arrow, as two files.
    pub(crate) fn arrows(&self) -> impl Iterator<Item = (&Module, &Module)> {
        let from = self.arrows.iter().zip(self.modules);
        from.flat_map(move |(to, from)| to.iter().map(move |&to| (from, &self.modules[to])))
    }

    /// The groups of files that need each other, by name.
    pub(crate) fn cycles(&self) -> Vec<Vec<&str>> {
        let reached: Vec<BTreeSet<usize>> = (0..self.modules.len()).map(|from| self.reached(from)).collect();
        let mut seen = BTreeSet::new();
        let mut cycles = Vec::new();
        for (start, own) in reached.iter().enumerate() {
            let cycle: Vec<usize> =
                own.iter().copied().filter(|&other| reached[other].contains(&start)).collect();
            if cycle.len() > 1 && cycle.iter().all(|&file| seen.insert(file)) {
                cycles.push(cycle.into_iter().map(|file| self.modules[file].file.as_str()).collect());
            }
        }
        cycles
    }

    fn reached(&self, from: usize) -> BTreeSet<usize> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            open.extend(self.arrows[file].iter().copied().filter(|&next| reached.insert(next)));
        }
        reached
    }
}

/// The path from a crate on, if it is one of ours.
fn absolute(module: &Module, path: &Path, by_place: &BTreeMap<&[String], usize>) -> Option<Vec<String>> {
    let mut place = module.place.clone();
    let mut names = path.names.as_slice();
    match names.first()?.as_str() {
        "crate" => place.truncate(1),
        "self" => {}
        "super" => {
            while names.first().is_some_and(|name| name == "super") {
                place.pop();
                names = &names[1..];
            }
            place.extend(names.iter().cloned());
            return Some(place);
        }
        name => {
            let package = [name.to_owned()];
            if by_place.contains_key(package.as_slice()) {
                return Some(names.to_vec());
            }
            place.push(name.to_owned());
            // A folder or file below this one, or a name that this one has taken.
            let below = by_place.contains_key(place.as_slice());
            place.pop();
            let taken = module.uses.iter().find(|taken| taken.here == name && *taken != path);
            match (below, taken) {
                (true, _) => place.extend(names.iter().cloned()),
                (false, Some(taken)) => {
                    place = absolute(module, taken, by_place)?;
                    place.extend(names[1..].iter().cloned());
                }
                (false, None) => return None,
            }
            return Some(place);
        }
    }
    place.extend(names[1..].iter().cloned());
    Some(place)
}

/// The file that holds what an absolute path names, through all that pass it on.
fn owner(
    modules: &[Module],
    by_place: &BTreeMap<&[String], usize>,
    path: &[String],
    depth: usize,
) -> Option<usize> {
    let len = (1..=path.len()).rev().find(|&len| by_place.contains_key(&path[..len]))?;
    let (file, rest) = (by_place[&path[..len]], &path[len..]);
    let module = &modules[file];
    let Some(name) = rest.first() else { return Some(file) };
    if module.items.contains(name) || depth > 8 {
        return Some(file);
    }
    let passed = module.uses.iter().filter(|passed| passed.here == *name || passed.here == "*");
    let mut from = passed.filter_map(|passed| {
        let mut start = absolute(module, passed, by_place)?;
        if passed.here == "*" {
            start.pop();
            start.push(name.clone());
        }
        start.extend(rest[1..].iter().cloned());
        owner(modules, by_place, &start, depth + 1)
    });
    from.next().or(Some(file))
}
