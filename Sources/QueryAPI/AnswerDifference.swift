/// What differs between two answers to the same query.
struct AnswerDifference: Hashable, Sendable {
  /// New rows and rows with other values, in the order of the new answer.
  var changed: [QueryAnswer.Row]
  /// Rows that the new answer does not have, in the order of the old one.
  var removed: [QueryAnswer.Identity]

  var isEmpty: Bool { changed.isEmpty && removed.isEmpty }

  init(from old: [QueryAnswer.Row], to new: [QueryAnswer.Row]) {
    var known: [QueryAnswer.Identity: QueryAnswer.Row] = [:]
    for row in old { known[row.identity] = row }
    changed = new.filter { known.removeValue(forKey: $0.identity) != $0 }
    removed = known.isEmpty ? [] : old.map(\.identity).filter { known[$0] != nil }
  }
}
