//! Bad inputs, each at a gateway process under watch.

use tests::{Bed, Party, Watched};
use uuid::Uuid;

/// A watch that sees nothing would let every case pass.
#[test]
fn the_watch_sees_what_it_should() {
    let mut watched = Watched::start(&Bed::new());
    let mut connection = watched.connect();
    let user = Uuid::new_v4();
    let before = watched.written();
    let answer = connection.send(&Party::Partner.read(user)).unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(watched.written(), before);
    watched.in_step(&mut connection, &answer).unwrap();
    connection.send(&Party::Partner.create(user, Uuid::new_v4())).unwrap();
    assert_eq!(watched.written().commits, before.commits + 1);
    assert_eq!(watched.complaints(), Vec::<String>::new());
    watched.mark("interlingua::access");
    watched.mark("interlingua_store_commits");
    assert_eq!(watched.complaints().len(), 2);
    // The log is whole only at the end.
    assert_eq!(watched.stop().len(), 2);
}
