//! Types that contain themselves: not without optional data or an array in between, and not without a box.

use std::collections::{BTreeMap, BTreeSet};

use crate::rpc::Mistake;
use crate::rpc::interface::{Body, Interface, Type};
use crate::rpc::syntax::Definition;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Reports a type that would be endless.
pub(super) fn check(
    definitions: &[Definition],
    interface: &Interface,
    mistakes: &mut Vec<Mistake>,
) {
    let graph = graph(interface, |ty| {
        !matches!(ty, Type::Optional { .. } | Type::Array(..))
    });
    for definition in definitions {
        let name = &definition.name;
        if reaches(&graph, name, name) {
            mistakes.push(Mistake::new(
                definition.line,
                format!("`{name}` contains itself without end; write `{name} *next` or `{name} children<>`"),
            ));
        }
    }
}

/// Boxes what would else have no size.
pub(super) fn put_boxes(interface: &mut Interface) {
    let graph = graph(interface, |_| true);
    let endless: BTreeSet<_> = graph
        .keys()
        .filter(|name| reaches(&graph, name, name))
        .cloned()
        .collect();
    for definition in &mut interface.types {
        each(&mut definition.body, &mut |ty| put_box(ty, &endless));
    }
    let versions = interface
        .programs
        .iter_mut()
        .flat_map(|one| &mut one.versions);
    for procedure in versions.flat_map(|one| &mut one.procedures) {
        procedure
            .arguments
            .iter_mut()
            .for_each(|ty| put_box(ty, &endless));
        put_box(&mut procedure.result, &endless);
    }
}

fn put_box(ty: &mut Type, endless: &BTreeSet<String>) {
    match ty {
        Type::Optional { ty, is_boxed } => {
            let mut inside = BTreeSet::new();
            collect(ty, &|_| true, &mut inside);
            *is_boxed = !inside.is_disjoint(endless);
            put_box(ty, endless);
        }
        Type::Array(ty, _) | Type::ArrayFixed(ty, _) | Type::Alias(_, ty) => put_box(ty, endless),
        _ => {}
    }
}

fn each(body: &mut Body, with: &mut impl FnMut(&mut Type)) {
    match body {
        Body::Alias(ty) => with(ty),
        Body::Enum(_) => {}
        Body::Struct(fields) => fields.iter_mut().for_each(|(_, ty)| with(ty)),
        Body::Union(union) => {
            union.variants.iter_mut().for_each(|one| with(&mut one.ty));
            union.default.iter_mut().for_each(with);
        }
    }
}

/// Returns which types stand in which, as far as `follow` goes.
fn graph(interface: &Interface, follow: impl Fn(&Type) -> bool) -> Graph {
    let mut graph = Graph::new();
    for definition in &interface.types {
        let inside = graph.entry(definition.name.clone()).or_default();
        let mut types: Vec<&Type> = Vec::new();
        match &definition.body {
            Body::Alias(_) | Body::Enum(_) => {} // What it stands for is followed where it stands.
            Body::Struct(fields) => types.extend(fields.iter().map(|(_, ty)| ty)),
            Body::Union(union) => {
                types.extend(union.variants.iter().map(|one| &one.ty));
                types.extend(&union.default);
            }
        }
        types
            .into_iter()
            .for_each(|ty| collect(ty, &follow, inside));
    }
    graph
}

fn collect(ty: &Type, follow: &impl Fn(&Type) -> bool, into: &mut BTreeSet<String>) {
    if !follow(ty) {
        return;
    }
    match ty {
        Type::Named(name) => drop(into.insert(name.clone())),
        Type::Array(ty, _)
        | Type::ArrayFixed(ty, _)
        | Type::Alias(_, ty)
        | Type::Optional { ty, .. } => {
            collect(ty, follow, into);
        }
        _ => {}
    }
}

fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(name) = next.pop() {
        for inside in graph.get(name).into_iter().flatten() {
            if inside == to {
                return true;
            }
            if seen.insert(inside) {
                next.push(inside);
            }
        }
    }
    false
}
