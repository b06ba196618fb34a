//! One of something for each card of a server.

use std::iter;

/// So many of them as a server has cards, in their order: one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerCard<T> {
    first: T,
    more: Vec<T>,
}

impl<T> PerCard<T> {
    /// That of a server with one card.
    pub const fn one(first: T) -> Self {
        Self { first, more: Vec::new() }
    }

    /// All of them; nothing where there is none.
    pub fn of(all: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut all = all.into_iter();
        Some(Self { first: all.next()?, more: all.collect() })
    }

    /// The first card's, which also speaks for what all have in common.
    pub const fn first(&self) -> &T {
        &self.first
    }

    /// The first card's, without the others.
    pub fn into_first(self) -> T {
        self.first
    }

    /// The first card's, to be changed.
    pub const fn first_mut(&mut self) -> &mut T {
        &mut self.first
    }

    /// Whether there are several cards.
    pub const fn is_several(&self) -> bool {
        !self.more.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        iter::once(&self.first).chain(&self.more)
    }

    /// Each of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        iter::once(&mut self.first).chain(&mut self.more)
    }

    /// Something made of each.
    ///
    /// # Errors
    /// It could not be made of one, and then was not tried of those behind it.
    pub fn try_map<U, E>(self, make: impl FnMut(T) -> Result<U, E>) -> Result<PerCard<U>, E> {
        let mut make = make;
        let first = make(self.first)?;
        let more = self.more.into_iter().map(make).collect::<Result<_, _>>()?;
        Ok(PerCard { first, more })
    }
}

impl<T> IntoIterator for PerCard<T> {
    type Item = T;
    type IntoIter = iter::Chain<iter::Once<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        iter::once(self.first).chain(self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_for_each_card_in_their_order() {
        assert_eq!(PerCard::of(Vec::<u8>::new()), None);
        assert_eq!(PerCard::of([1]), Some(PerCard::one(1)));
        let mut three = PerCard::of([1, 2, 3]).unwrap();
        assert!(three.is_several() && !PerCard::one(1).is_several());
        *three.first_mut() += 10;
        three.iter_mut().for_each(|one| *one += 1);
        assert_eq!((three.iter().copied().collect::<Vec<_>>(), *three.first()), (vec![12, 3, 4], 12));
        assert_eq!(
            three.clone().try_map(|one: u8| one.checked_sub(3).ok_or(one)),
            Ok(PerCard::of([9, 0, 1]).unwrap())
        );
        assert_eq!(three.try_map(|one| if one > 3 { Ok(one) } else { Err(one) }), Err(3));
    }
}
