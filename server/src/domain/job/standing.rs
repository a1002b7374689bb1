//! Where waiting jobs stand.

use std::collections::HashMap;

use super::Group;
use crate::domain::engine::Engine;
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::tags::{Tags, job_matches};

/// A job's place among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// From 1; 0 when no live daemon could take it.
    pub position: i32,
    /// Jobs that wait for the same daemons.
    pub size: i32,
}

/// What a live daemon takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taker {
    /// Its organization.
    pub organization: OrganizationId,
    /// What it runs.
    pub engines: Vec<Engine>,
    /// Its tags.
    pub tags: Tags,
}

impl Taker {
    /// Whether it could take the jobs of a group.
    #[must_use]
    pub fn takes(&self, group: &Group) -> bool {
        self.organization == group.organization
            && self.engines.contains(&group.engine)
            && job_matches(&group.tags, &self.tags)
    }
}

/// The standing of each waiting job, given in their order: behind those ahead of it that a daemon could take that could
/// take it as well.
#[must_use]
pub fn standings(waiting: &[(JobId, Group)], takers: &[Taker]) -> HashMap<JobId, Standing> {
    // Jobs of a group stand alike, and so do those of groups that the same daemons take: there are few such classes,
    // however many jobs and groups there are.
    let mut classes: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut of_group: HashMap<&Group, usize> = HashMap::new();
    for (_, group) in waiting {
        of_group.entry(group).or_insert_with(|| {
            let fit = takers.iter().enumerate().filter(|(_, taker)| taker.takes(group));
            let next = classes.len();
            *classes.entry(fit.map(|(index, _)| index).collect()).or_insert(next)
        });
    }
    let mut rivals = vec![Vec::new(); classes.len()];
    for (own, class) in &classes {
        let shares = |other: &[usize]| own.iter().any(|taker| other.binary_search(taker).is_ok());
        rivals[*class] = classes.iter().filter(|(other, _)| shares(other)).map(|(_, index)| *index).collect();
    }
    let mut totals = vec![0; classes.len()];
    for (_, group) in waiting {
        totals[of_group[group]] += 1;
    }
    let mut ahead = vec![0; classes.len()];
    let mut standings = HashMap::with_capacity(waiting.len());
    for (job, group) in waiting {
        let own = of_group[group];
        let sum = |counts: &[i32]| rivals[own].iter().map(|index: &usize| counts[*index]).sum::<i32>();
        let standing = if rivals[own].is_empty() {
            Standing::default()
        } else {
            Standing { position: 1 + sum(&ahead), size: sum(&totals) }
        };
        standings.insert(*job, standing);
        ahead[own] += 1;
    }
    standings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_job_stands_behind_those_that_its_daemons_take_first() {
        let organization = OrganizationId::new();
        let tags = |text: &str| {
            Tags::of_key(&text.chars().map(|c| (c.to_string(), "1".to_owned())).collect::<BTreeMap<_, _>>())
        };
        let group = |text: &str| Group { organization, engine: Engine::Echo, tags: tags(text) };
        let taker = |text: &str| Taker { organization, engines: vec![Engine::Echo], tags: tags(text) };
        let jobs: Vec<_> = ["a", "", "b", "ab", "a", "c"].iter().map(|t| (JobId::new(), group(t))).collect();
        let stand = |takers: &[Taker]| {
            let standings = standings(&jobs, takers);
            jobs.iter().map(|(id, _)| (standings[id].position, standings[id].size)).collect::<Vec<_>>()
        };
        assert_eq!(stand(&[taker("ab")]), [(1, 4), (0, 0), (2, 4), (3, 4), (4, 4), (0, 0)]);
        assert_eq!(stand(&[taker("a"), taker("b"), taker("")]), [(1, 2), (1, 1), (1, 1), (0, 0), (2, 2), (0, 0)]);
        assert_eq!(stand(&[]), [(0, 0); 6]);
        let elsewhere = Taker { organization: OrganizationId::new(), ..taker("ab") };
        assert_eq!(stand(&[elsewhere]), [(0, 0); 6]);
    }
}
