/// What a loop writes to, as metrics name it.
enum WrittenStore: String, CaseIterable, Sendable {
  case postgres
  case redis
  case snapshots
}
