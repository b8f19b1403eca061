use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// The definition of RFC 6962 section 2.1, word for word.
fn naive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn naive_path(leaf_index: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, sibling) = if leaf_index < left.len() {
        (naive_path(leaf_index, left), right)
    } else {
        (naive_path(leaf_index - left.len(), right), left)
    };
    path.push(naive_root(sibling));
    path
}

fn naive_subproof(first: usize, leaves: &[Digest], is_whole: bool) -> Vec<Digest> {
    if first == leaves.len() {
        return if is_whole {
            Vec::new()
        } else {
            vec![naive_root(leaves)]
        };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut proof, sibling) = if first <= left.len() {
        (naive_subproof(first, left, is_whole), right)
    } else {
        (naive_subproof(first - left.len(), right, false), left)
    };
    proof.push(naive_root(sibling));
    proof
}

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

#[derive(Default)]
struct Tree {
    frontier: Frontier,
    nodes: BTreeMap<(u8, u64), Digest>,
}

impl Tree {
    fn of(leaves: &[Digest]) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            for node in tree.frontier.append(*leaf).unwrap() {
                let before = tree.nodes.insert((node.level, node.index), node.hash);
                assert_eq!(before, None, "a complete subtree is yielded once");
            }
        }
        tree
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the reader that provers take may fail"
    )]
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.nodes.get(&(level, index)).copied())
    }
}

/// The classic tree of RFC 6962 implementations: eight leaves and the root over them.
#[test]
fn reference_tree_has_the_published_roots() {
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root().to_string(), roots[0]);
    for (input, root) in inputs.iter().zip(&roots[1..]) {
        frontier.append(leaf_hash(input)).unwrap();
        assert_eq!(frontier.root().to_string(), *root);
    }
}

#[test]
fn every_proof_of_every_small_tree_is_the_one_of_the_definition_and_verifies() {
    for size in 1..=40_u64 {
        let leaves = leaves(size);
        let tree = Tree::of(&leaves);
        let root = tree.frontier.root();
        assert_eq!(root, naive_root(&leaves));
        for (place, leaf) in leaves.iter().enumerate() {
            let index = place as u64;
            let proof = prove_inclusion(index, size, |l, i| tree.node(l, i)).unwrap();
            assert_eq!(proof, naive_path(place, &leaves));
            assert_eq!(verify_inclusion(index, size, leaf, &proof, &root), Ok(()));
        }
        for first in 1..=size {
            let earlier = usize::try_from(first).unwrap();
            let proof = prove_consistency(first, size, |l, i| tree.node(l, i)).unwrap();
            assert_eq!(proof, naive_subproof(earlier, &leaves, true));
            let first_root = naive_root(&leaves[..earlier]);
            assert_eq!(
                verify_consistency(first, size, &first_root, &root, &proof),
                Ok(())
            );
        }
    }
}

/// A store keeps only complete subtrees, and proofs of an older size come from the same nodes.
#[test]
fn proofs_of_an_earlier_size_come_from_the_nodes_of_a_later_one() {
    let leaves = leaves(37);
    let tree = Tree::of(&leaves);
    for size in 1..37_u64 {
        let earlier = &leaves[..usize::try_from(size).unwrap()];
        let proof = prove_inclusion(size - 1, size, |l, i| tree.node(l, i)).unwrap();
        assert_eq!(proof, naive_path(earlier.len() - 1, earlier));
    }
}

#[test]
fn frontier_restored_from_its_parts_goes_on_as_before() {
    let leaves = leaves(23);
    let mut tree = Tree::of(&leaves[..13]);
    let parts = tree.frontier.peaks().to_vec();
    assert_eq!(
        Frontier::from_parts(12, parts.clone()),
        Err(FrontierError::PeakCount { size: 12, count: 3 })
    );
    tree.frontier = Frontier::from_parts(13, parts).unwrap();
    for leaf in &leaves[13..] {
        tree.frontier.append(*leaf).unwrap();
    }
    assert_eq!(tree.frontier.root(), naive_root(&leaves));
}

#[test]
fn full_tree_takes_no_more_leaves() {
    let mut frontier = Frontier::from_parts(u64::MAX, leaves(64)).unwrap();
    assert_eq!(frontier.append(empty_root()), Err(FrontierError::Full));
    assert_eq!(frontier.size(), u64::MAX);
}

#[test]
fn proof_for_what_is_not_there_is_refused() {
    let leaves = leaves(5);
    let tree = Tree::of(&leaves);
    let node = |level, index| tree.node(level, index);
    let no_leaf = ProveError::NoSuchLeaf {
        leaf_index: 5,
        tree_size: 5,
    };
    assert_eq!(prove_inclusion(5, 5, node), Err(no_leaf));
    let missing = ProveError::Missing { level: 0, index: 5 };
    assert_eq!(prove_inclusion(4, 6, node), Err(missing));
    assert_eq!(
        prove_consistency(0, 5, node),
        Err(ProveError::NotEarlier {
            first: 0,
            second: 5
        })
    );
    assert_eq!(
        prove_consistency(6, 5, node),
        Err(ProveError::NotEarlier {
            first: 6,
            second: 5
        })
    );
    let failing = |_, _| Err::<Option<Digest>, _>("disk");
    assert_eq!(
        prove_inclusion(0, 5, failing),
        Err(ProveError::Read("disk"))
    );
}

proptest! {
    #[test]
    fn changed_inclusion_proof_is_refused(
        size in 2_u64..200, pick in any::<u64>(), place in any::<usize>(), bit in 0_usize..256,
    ) {
        let leaves = leaves(size);
        let tree = Tree::of(&leaves);
        let root = tree.frontier.root();
        let index = pick % size;
        let leaf = leaves[usize::try_from(index).unwrap()];
        let proof = prove_inclusion(index, size, |l, i| tree.node(l, i)).unwrap();

        let mut flipped = proof.clone();
        let at = place % flipped.len();
        let mut bytes = *flipped[at].as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        flipped[at] = Digest::from_bytes(bytes);
        prop_assert!(verify_inclusion(index, size, &leaf, &flipped, &root).is_err());

        let longer = [proof.as_slice(), &[root]].concat();
        prop_assert!(verify_inclusion(index, size, &leaf, &longer, &root).is_err());
        let shorter = &proof[1..];
        prop_assert!(verify_inclusion(index, size, &leaf, shorter, &root).is_err());
        let other = (index + 1) % size;
        prop_assert!(verify_inclusion(other, size, &leaf, &proof, &root).is_err());
    }

    #[test]
    fn no_input_makes_verification_panic(
        a in any::<u64>(), b in any::<u64>(), count in 0_u64..70,
    ) {
        let proof = leaves(count);
        let root = empty_root();
        let _ = verify_inclusion(a, b, &root, &proof, &root);
        let _ = verify_inclusion(a.min(b), b, &root, &proof, &root);
        let _ = verify_consistency(a, b, &root, &root, &proof);
        let _ = verify_consistency(a.min(b), a.max(b), &root, &root, &proof);
    }

    #[test]
    fn no_size_makes_proving_panic(a in any::<u64>(), b in any::<u64>()) {
        let any_node = |_, _| Ok::<_, Infallible>(Some(empty_root()));
        let inclusion = prove_inclusion(a.min(b), a.max(b), any_node);
        if let Ok(proof) = inclusion {
            let leaf = empty_root();
            prop_assert!(root_of_inclusion(a.min(b), a.max(b), &leaf, &proof).is_ok());
        }
        let _ = prove_consistency(a.min(b), a.max(b), any_node);
    }
}
