use crate::plan::order::sort;

/// A small generator with a fixed seed, so that a failure can be run again.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

/// The definition, slowly: again and again the first task whose dependencies are all done.
fn slow(depends: &[Vec<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    while let Some(next) = (0..depends.len()).find(|index| {
        !order.contains(index) && depends[*index].iter().all(|need| order.contains(need))
    }) {
        order.push(next);
    }
    order
}

#[test]
fn random_graphs_are_ordered_as_the_definition_says() {
    for seed in 0..500 {
        let mut random = Lcg(seed);
        let count = 1 + random.below(20);
        // Edges follow a hidden shuffle, so that declaration order and dependencies disagree.
        let mut rank: Vec<usize> = (0..count).collect();
        for index in (1..count).rev() {
            rank.swap(index, random.below(index + 1));
        }
        let depends: Vec<Vec<usize>> = (0..count)
            .map(|a| {
                (0..count)
                    .filter(|b| rank[*b] < rank[a] && random.below(4) == 0)
                    .collect()
            })
            .collect();
        assert_eq!(sort(&depends), Ok(slow(&depends)), "seed {seed}");
    }
}

#[test]
fn random_circles_are_found() {
    for seed in 0..500 {
        let mut random = Lcg(seed);
        let count = 2 + random.below(15);
        let mut depends: Vec<Vec<usize>> = (0..count)
            .map(|_| (0..random.below(3)).map(|_| random.below(count)).collect())
            .collect();
        let (a, b) = (random.below(count), random.below(count));
        depends[a].push(b);
        depends[b].push(a);
        let circles = sort(&depends).expect_err("there is a circle");
        assert!(!circles.is_empty(), "seed {seed}");
        for circle in circles {
            for (index, at) in circle.iter().enumerate() {
                let next = circle[(index + 1) % circle.len()];
                assert!(depends[*at].contains(&next), "seed {seed}: {circle:?}");
            }
        }
    }
}
