//! Tables in lists.

use super::Reader;
use crate::{
    read::names,
    tree::{Entry, Item, Origin, Table, Value},
};

impl<'a> Reader<'a> {
    /// What `read` makes of each table in the lists `key`. Those of the same `identity` lie one upon the other.
    pub(in crate::read) fn keyed_tables<T>(
        &mut self,
        key: &'static str,
        identity: impl Fn(&Table) -> Option<String>,
        mut read: impl FnMut(&mut Reader<'a>) -> Option<T>,
    ) -> Vec<T> {
        let mut groups: Vec<(Option<String>, Vec<&'a Table>, &'a Origin)> = Vec::new();
        for list in self.take(key) {
            for item in self.tables_in(key, list) {
                let Some(table) = item.value.as_table() else { continue };
                let name = identity(table);
                match groups.iter_mut().find(|(known, _, _)| name.is_some() && *known == name) {
                    Some((_, layers, _)) => layers.push(table),
                    None => groups.push((name, vec![table], &item.origin)),
                }
            }
        }
        let path = |name: &Option<String>, index: usize| match name {
            Some(name) => format!("{}.{}", self.key(key), names::quoted(name)),
            None => format!("{}[{index}]", self.key(key)),
        };
        let paths: Vec<String> = groups.iter().enumerate().map(|(index, (name, _, _))| path(name, index)).collect();
        let groups = groups.into_iter().zip(paths);
        groups.filter_map(|((_, layers, origin), path)| self.within(layers, path, Some(origin), &mut read)).collect()
    }

    /// What `read` makes of each table in the list `key`, which is taken as a whole.
    pub(in crate::read) fn tables<T>(
        &mut self,
        key: &'static str,
        read: impl for<'t> FnMut(&mut Reader<'t>) -> Option<T>,
    ) -> Vec<T> {
        self.tables_or(key, "", read)
    }

    /// As [`Self::tables`]; a text in the place of a table is a table that has only the key `short`, and one in the place of the list is
    /// the list's only one.
    pub(in crate::read) fn tables_or<T>(
        &mut self,
        key: &'static str,
        short: &'static str,
        mut read: impl for<'t> FnMut(&mut Reader<'t>) -> Option<T>,
    ) -> Vec<T> {
        for list in self.take(key) {
            let text = list.value.as_text().filter(|_| !short.is_empty()).map(|_| std::slice::from_ref(list));
            let Some(items) = list.value.as_list().or(text) else {
                let expected = format!("a list of tables, [[{}]]", self.key(key));
                self.refuse(key, list, &list.value.kind_clause(), &expected);
                continue;
            };
            self.findings.origins.insert(self.key(key), list.origin.clone());
            let mut all = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let from_text = item.value.as_text().filter(|_| !short.is_empty()).map(|_| {
                    let (name, origin) = (short.to_owned(), item.origin.clone());
                    Table { entries: vec![Entry { name, origin, item: item.clone() }] }
                });
                let Some(table) = from_text.as_ref().or(item.value.as_table()) else {
                    let expected = format!("tables, [[{}]]", self.key(key));
                    self.refuse(key, item, &format!("has {} in it", item.value.kind()), &expected);
                    continue;
                };
                let path = format!("{}[{index}]", self.key(key));
                let findings = std::mem::take(&mut self.findings);
                let (layers, origin) = (vec![table], Some(&item.origin));
                let mut reader = Reader { layers, path, origin, ..Reader::root(Vec::new()) };
                (reader.is_cautious, reader.findings) = (self.is_cautious, findings);
                all.extend(read(&mut reader));
                self.findings = reader.finish();
            }
            return all;
        }
        Vec::new()
    }

    /// The tables in `list`; names what there is besides.
    fn tables_in(&mut self, key: &'static str, list: &'a Item) -> Vec<&'a Item> {
        let expected = format!("tables, [[{}]]", self.key(key));
        let Value::List(items) = &list.value else {
            self.refuse(key, list, &list.value.kind_clause(), &format!("a list of {expected}"));
            return Vec::new();
        };
        let (tables, others): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.value.as_table().is_some());
        for other in others {
            self.refuse(key, other, &format!("has {} in it", other.value.kind()), &expected);
        }
        tables
    }
}
