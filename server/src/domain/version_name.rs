//! Names for template versions that come without one.

use rand::seq::IndexedRandom as _;

const ADJECTIVES: &[&str] = &[
    "amber", "bold", "brave", "bright", "brisk", "calm", "clear", "clever", "cosy", "crisp", "eager", "early", "fair",
    "fancy", "fresh", "gentle", "glad", "golden", "grand", "happy", "jolly", "keen", "kind", "light", "lively",
    "lucky", "mellow", "merry", "mild", "neat", "nimble", "noble", "patient", "plain", "polite", "proud", "quick",
    "quiet", "rapid", "sharp", "shiny", "silent", "silver", "smooth", "snug", "solid", "steady", "sunny", "swift",
    "tidy", "vivid", "warm", "wise", "witty", "young", "zesty",
];

const NOUNS: &[&str] = &[
    "acorn", "anchor", "arrow", "badger", "beacon", "birch", "bridge", "brook", "canyon", "cedar", "cliff", "cloud",
    "comet", "coral", "crane", "delta", "dune", "falcon", "fern", "finch", "forest", "fox", "glacier", "harbor",
    "hawk", "heron", "hill", "island", "lantern", "maple", "meadow", "meteor", "moon", "moss", "oak", "ocean",
    "orchid", "otter", "owl", "pebble", "pine", "planet", "prairie", "raven", "reef", "ridge", "river", "robin",
    "sparrow", "spruce", "star", "stone", "summit", "thistle", "tide", "valley", "willow", "wren",
];

/// A name such as `quiet_otter42`.
#[must_use]
pub fn generate() -> String {
    let mut random = rand::rng();
    let pick = |words: &[&'static str], random: &mut _| words.choose(random).copied().unwrap_or_default();
    let (adjective, noun) = (pick(ADJECTIVES, &mut random), pick(NOUNS, &mut random));
    format!("{adjective}_{noun}{}", rand::random_range(10..100))
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_names_are_names() {
        for _ in 0..100 {
            let name = super::generate();
            assert_eq!(crate::domain::name::template_version(&name), Ok(()), "{name}");
        }
    }
}
