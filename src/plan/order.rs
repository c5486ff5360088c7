//! The order of tasks: topological, and as they were declared wherever the dependencies leave it
//! open, so that the same plan always gives the same numbers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Indices in order, or the circles in which tasks depend on each other.
///
/// `depends[i]` holds the indices that `i` depends on; indices beyond the end are ignored.
///
/// # Errors
/// At least one circle, each as the indices on it in the direction of "depends on".
pub fn sort(depends: &[Vec<usize>]) -> Result<Vec<usize>, Vec<Vec<usize>>> {
    let count = depends.len();
    let mut waits: Vec<usize> = vec![0; count];
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, needed) in depends.iter().enumerate() {
        for need in needed.iter().filter(|need| **need < count) {
            waits[index] += 1;
            dependents[*need].push(index);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..count)
        .filter(|index| waits[*index] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for dependent in &dependents[index] {
            waits[*dependent] -= 1;
            if waits[*dependent] == 0 {
                ready.push(Reverse(*dependent));
            }
        }
    }
    if order.len() == count {
        Ok(order)
    } else {
        Err(circles(depends, &waits))
    }
}

/// Follows dependencies among the tasks that never became ready. Each such task has one that did
/// not become ready either, so every walk ends in a circle or where an earlier walk went.
fn circles(depends: &[Vec<usize>], waits: &[usize]) -> Vec<Vec<usize>> {
    let mut seen_in: Vec<usize> = vec![0; depends.len()];
    let mut circles = Vec::new();
    for first in (0..depends.len()).filter(|index| waits[*index] > 0) {
        let walk = first + 1;
        let (mut path, mut at) = (Vec::new(), first);
        while seen_in[at] == 0 {
            seen_in[at] = walk;
            path.push(at);
            match depends[at]
                .iter()
                .find(|need| waits.get(**need).is_some_and(|left| *left > 0))
            {
                Some(next) => at = *next,
                None => break,
            }
        }
        if seen_in[at] == walk
            && let Some(start) = path.iter().position(|index| *index == at)
            && depends[path[path.len() - 1]].contains(&at)
        {
            circles.push(path.split_off(start));
        }
    }
    circles
}
