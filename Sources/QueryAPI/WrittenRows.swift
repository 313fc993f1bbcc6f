import Synchronization

/// Rows of answers as they were written, by question: the next answer copies those that have not changed. Mostly these are all
/// but the newest ones, in runs, so that a row costs a comparison instead of some microseconds.
///
///     rows before   a b c d e f
///     rows now        b c d x f g     copied: b c d, f; written: x, g
///
/// A copy is what would be written anew, since a row's text follows from the row, the metrics and the time zone alone.
///
/// Limits: ``bytesMax``; those that were used longest ago go first.
final class WrittenRows: Sendable {
  /// Questions whose rows are alike: what tells the others apart is which page they show.
  struct Key: Hashable {
    private let request: QueryRequest

    init(_ request: QueryRequest) {
      var request = request
      request.after = nil
      request.timeoutMs = 0
      request.format = nil
      request.limit = 0
      request.offset = 0
      self.request = request
    }
  }

  /// The rows of an answer in its bytes, each but the last one with a comma behind it.
  struct Page: Sendable {
    var rows: [QueryAnswer.Row] = []
    var bytes: [UInt8] = []
    /// Of the first row, in ``bytes``.
    var begin = 0
    /// Of each row, in ``bytes``.
    var ends: [Int] = []

    /// Of a row, in ``bytes``.
    func begin(of row: Int) -> Int { row == 0 ? begin : ends[row - 1] + 1 }

    /// Where a row is, at or a little after a place; nil where it is not there.
    func place(of row: QueryAnswer.Row, from place: Int) -> Int? {
      let end = min(rows.count, place + Self.reach)
      return place < end ? (place..<end).first { rows[$0] == row } : nil
    }

    /// A range moves on by some rows at once where nobody asked for a while.
    private static let reach = 16

    fileprivate var size: Int {
      bytes.count + rows.count * (MemoryLayout<QueryAnswer.Row>.stride + MemoryLayout<Int>.stride)
    }
  }

  private struct Entry {
    var page: Page
    var kept: ContinuousClock.Instant
    var used: UInt64
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var size = 0
    var uses: UInt64 = 0
  }

  private static let bytesMax = 16 << 20
  /// How long a shorter page does not take the place of a longer one.
  private static let age = Duration.seconds(5)

  private let state = Mutex(State())

  /// What an earlier answer to the question has; empty where there was none.
  func page(_ key: Key) -> Page {
    state.withLock { state in
      state.uses += 1
      state.entries[key]?.used = state.uses
      return state.entries[key]?.page ?? Page()
    }
  }

  func keep(_ page: Page, _ key: Key) {
    guard page.size <= Self.bytesMax / 4 else { return }
    let now = ContinuousClock.now
    state.withLock { state in
      if let before = state.entries[key] {
        if before.page.rows.count > page.rows.count, now - before.kept < Self.age { return }
        state.size -= before.page.size
      }
      state.uses += 1
      state.entries[key] = Entry(page: page, kept: now, used: state.uses)
      state.size += page.size
      guard state.size > Self.bytesMax else { return }
      // Half at once, so that it is seldom.
      for (old, entry) in state.entries.sorted(by: { $0.value.used < $1.value.used }) {
        if state.size <= Self.bytesMax / 2 { break }
        state.entries[old] = nil
        state.size -= entry.page.size
      }
    }
  }
}
