/// What a random log is mostly made of.
enum Shape: String, CaseIterable, Sendable {
  /// Of everything something.
  case mixed
  /// Every event a hundred times.
  case copies
  /// Nearly everything happens to one tuple and one person.
  case hotKey
  /// Many keys that fall silent until they are forgotten, and come back.
  case idleKeys
  /// Five times as many tuples as there may be.
  case bomb
}
