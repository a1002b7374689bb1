//! Where waiting jobs stand.

use std::collections::HashMap;

use super::Group;
use crate::domain::engine::Engine;
use crate::domain::id::OrganizationId;
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

/// Which groups' jobs stand before which daemons together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines {
    /// Of each group the line that its jobs stand in; `None` when no daemon could take them.
    pub of_group: Vec<Option<usize>>,
    /// Of each line the groups whose jobs stand in it, all in the order of claims.
    pub groups: Vec<Vec<usize>>,
}

/// The lines of these groups. A job stands behind those ahead of it that a daemon could take that could take it as well.
#[must_use]
pub fn lines(groups: &[Group], takers: &[Taker]) -> Lines {
    // Groups that the same daemons take stand alike, and there are few such classes, however many groups there are.
    let mut classes: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut of_group = Vec::with_capacity(groups.len());
    for group in groups {
        let fit = takers.iter().enumerate().filter(|(_, taker)| taker.takes(group));
        let fit: Vec<usize> = fit.map(|(index, _)| index).collect();
        let next = classes.len();
        of_group.push((!fit.is_empty()).then(|| *classes.entry(fit).or_insert(next)));
    }
    let mut lines = vec![Vec::new(); classes.len()];
    for (own, line) in &classes {
        let shares = |class: &usize| {
            classes.iter().any(|(other, index)| index == class && own.iter().any(|t| other.binary_search(t).is_ok()))
        };
        let rivals: Vec<usize> = (0..classes.len()).filter(shares).collect();
        let stands = |class: &Option<usize>| class.is_some_and(|class| rivals.binary_search(&class).is_ok());
        lines[*line] = (0..groups.len()).filter(|group| stands(&of_group[*group])).collect();
    }
    Lines { of_group, groups: lines }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn jobs_stand_in_line_with_those_that_their_daemons_could_take_as_well() {
        let organization = OrganizationId::new();
        let tags = |text: &str| {
            Tags::of_key(&text.chars().map(|c| (c.to_string(), "1".to_owned())).collect::<BTreeMap<_, _>>())
        };
        let group = |text: &str| Group { organization, engine: Engine::Echo, tags: tags(text) };
        let taker = |text: &str| Taker { organization, engines: vec![Engine::Echo], tags: tags(text) };
        let groups = ["a", "", "b", "ab", "c"].map(group);
        // Of each group those that it stands in line with.
        let stand = |takers: &[Taker]| {
            let lines = lines(&groups, takers);
            lines.of_group.iter().map(|line| line.map(|line| lines.groups[line].clone())).collect::<Vec<_>>()
        };
        let all = || Some(vec![0, 2, 3]);
        assert_eq!(stand(&[taker("ab")]), [all(), None, all(), all(), None]);
        let alone = |group| Some(vec![group]);
        assert_eq!(stand(&[taker("a"), taker("b"), taker("")]), [alone(0), alone(1), alone(2), None, None]);
        let (a, b) = (Some(vec![0, 2, 3]), Some(vec![0, 2, 3]));
        assert_eq!(stand(&[taker("a"), taker("ab")]), [a, None, b, all(), None]);
        assert_eq!(stand(&[]), [None, None, None, None, None]);
        let elsewhere = Taker { organization: OrganizationId::new(), ..taker("ab") };
        assert_eq!(stand(&[elsewhere]), [None, None, None, None, None]);
    }
}
