//! The same update in another vocabulary: what `interlingua translate` is made of.

use gateway_core::{Attr, Change, Profile};

use crate::{Access, Day, Field, FieldTable, Json};

/// A field of an update, as another dialect would send it.
#[derive(Clone, Debug)]
pub struct Expressed<'t> {
    /// The row.
    pub field: &'t Field,
    /// The value; `None` clears.
    pub value: Option<Json<'static>>,
}

/// An update in a vocabulary.
#[derive(Clone, Debug, Default)]
pub struct Expression<'t> {
    /// What it can say, in the order of the table.
    pub fields: Vec<Expressed<'t>>,
    /// What it cannot.
    pub lost: Vec<Attr>,
}

impl FieldTable {
    /// Says changes in this vocabulary. An attribute stands for all views of the same thing: a line
    /// of an address for its street and number.
    #[must_use]
    pub fn express(&self, changes: &[Change]) -> Expression<'_> {
        let mut profile = Profile::default();
        profile.apply(changes);
        let mut expression = Expression::default();
        let writable =
            |row: &&Field| !matches!(row.access, Access::ReadOnly | Access::CreateOnly | Access::Initial);
        for field in self.rows().iter().filter(writable) {
            let mut of_group =
                changes.iter().filter(|change| change.attr.group() == field.attr.group()).peekable();
            if of_group.peek().is_none() {
                continue;
            }
            if self.is_more_than_said(field.attr, changes) {
                continue;
            }
            let written = profile.get(field.attr).map(|value| field.codec.write(&value).into_owned());
            // What the other dialect would refuse, it cannot say.
            let value = written.filter(|json| field.codec.read(json, Day::MAX).is_ok());
            let cleared = of_group.all(|change| change.value.is_none()) && field.access == Access::Optional;
            if value.is_some() || cleared {
                expression.fields.push(Expressed { field, value });
            }
        }
        let said = |attr: Attr| expression.fields.iter().any(|one| one.field.attr.group() == attr.group());
        expression.lost = changes.iter().map(|change| change.attr).filter(|attr| !said(*attr)).collect();
        expression.lost.dedup();
        expression
    }

    /// True for a line of an address of which only one part is given, since the other part would be lost,
    /// and for that other part. A vocabulary with both forms says the one that is given.
    fn is_more_than_said(&self, attr: Attr, changes: &[Change]) -> bool {
        let gives = |attr| changes.iter().any(|change| change.attr == attr);
        let knows = |attr| self.wire(attr).is_some();
        match attr {
            Attr::AddressLine1 if gives(attr) => false,
            Attr::AddressLine1 => knows(Attr::Street) || !(gives(Attr::Street) && gives(Attr::HouseNumber)),
            Attr::Street | Attr::HouseNumber if gives(Attr::AddressLine1) => knows(Attr::AddressLine1),
            Attr::Street | Attr::HouseNumber => !gives(attr),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clear, ReadOnly, TEXT, field};
    use gateway_core::Value;

    #[test]
    fn views_of_one_thing_stand_for_each_other() {
        const ROWS: &[Field] = &[
            field("/line", Attr::AddressLine1, TEXT, Access::Required),
            field("/town", Attr::City, TEXT, Access::Optional),
            field("/id", Attr::Id, TEXT, Access::ReadOnly),
        ];
        static LINES: FieldTable = FieldTable::new(ROWS, Clear::Null, ReadOnly::Refuse);
        let changes = [
            Change::set(Attr::Street, Value::text("Am Ring")),
            Change::set(Attr::HouseNumber, Value::text("7")),
            Change::clear(Attr::City),
            Change::set(Attr::Bio, Value::text("x")),
        ];
        let expression = LINES.express(&changes);
        let said: Vec<_> = expression
            .fields
            .iter()
            .map(|one| (one.field.attr, one.value.as_ref().and_then(Json::as_text)))
            .collect();
        assert_eq!(said, [(Attr::AddressLine1, Some("Am Ring 7")), (Attr::City, None)]);
        assert_eq!(expression.lost, [Attr::Bio]);
        const PARTS: &[Field] = &[
            field("/street", Attr::Street, TEXT, Access::Optional),
            field("/number", Attr::HouseNumber, TEXT, Access::Optional),
        ];
        static HALVES: FieldTable = FieldTable::new(PARTS, Clear::Null, ReadOnly::Refuse);
        let cleared = |changes: &[Change]| {
            HALVES.express(changes).fields.iter().map(|one| one.field.attr).collect::<Vec<_>>()
        };
        assert_eq!(cleared(&[Change::clear(Attr::Street)]), [Attr::Street]);
        // One that knows both forms says what is given, once.
        let both = [ROWS[0].clone(), PARTS[0].clone(), PARTS[1].clone()].to_vec();
        let both = FieldTable::build(both, Clear::Null, ReadOnly::Refuse).unwrap();
        let said = |changes: &[Change]| {
            both.express(changes).fields.iter().map(|one| one.field.attr).collect::<Vec<_>>()
        };
        let number = Change::set(Attr::HouseNumber, Value::text("18"));
        assert_eq!(said(&[Change::clear(Attr::Street), number.clone()]), [Attr::HouseNumber]);
        assert_eq!(
            said(&[Change::set(Attr::AddressLine1, Value::text("Ring 18")), number]),
            [Attr::AddressLine1]
        );
        assert_eq!(cleared(&[Change::clear(Attr::AddressLine1)]), [Attr::Street, Attr::HouseNumber]);
        assert_eq!(LINES.express(&[Change::clear(Attr::AddressLine1)]).lost, [Attr::AddressLine1]);
        // Half a line, and a town that the other side would refuse.
        for lost in [
            Change::set(Attr::HouseNumber, Value::text("7")),
            Change::set(Attr::City, Value::text("\u{200b}")),
        ] {
            let expression = LINES.express(std::slice::from_ref(&lost));
            assert_eq!((expression.fields.len(), expression.lost), (0, vec![lost.attr]));
        }
    }
}
