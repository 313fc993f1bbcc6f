import Views

/// What happened within one slide of time, and how often the window that ends with it was corrected.
struct HoppingPane: ~Copyable {
  var start: Int64
  /// Sums by slot of the tuple.
  var rows = FlatTable<Counts>()
  /// By slot: corrections of the row whose window ends where this pane does.
  var revisions = FlatTable<Revision>()
  /// What has changed since the last snapshot, by index.
  var changedRows = ChangeMarks()
  var changedRevisions = ChangeMarks()

  struct Revision: BitwiseCopyable {
    /// The number of frames that changed the row after it was final.
    var count: Int32
    /// The last of them.
    var sequence: UInt64
    /// The row waits to be drained.
    var isPending: Bool
  }

  init(start: Int64) { self.start = start }

  /// Makes the pane ready for another time; its tables keep their room.
  mutating func reset(start: Int64) {
    self.start = start
    rows.removeAll()
    revisions.removeAll()
    forgetChanges()
  }

  var hasChanges: Bool { changedRows.count + changedRevisions.count > 0 }

  mutating func forgetChanges() {
    changedRows.removeAll()
    changedRevisions.removeAll()
  }
}

/// A sum of panes from which panes can be taken away again: money does not end at the ends of Int64
/// before it is read.
struct HoppingTotal: BitwiseCopyable {
  private var counts = Counts()
  private var revenueMicros: Int128 = 0
  /// The number of panes with anything for the tuple.
  private(set) var paneCount: Int32 = 0

  var sums: Counts {
    var sums = counts
    sums.revenueMicros = Int64(clamping: revenueMicros)
    return sums
  }

  /// Adds to a pane that is in the sum already.
  @inline(__always)
  mutating func correct(_ pane: Counts) {
    counts.impressions &+= pane.impressions
    counts.views &+= pane.views
    counts.clicks &+= pane.clicks
    counts.engagements &+= pane.engagements
    counts.conversions &+= pane.conversions
    revenueMicros += Int128(pane.revenueMicros)
  }

  @inline(__always)
  mutating func add(_ pane: Counts) {
    correct(pane)
    paneCount &+= 1
  }

  @inline(__always)
  mutating func remove(_ pane: Counts) {
    counts.impressions &-= pane.impressions
    counts.views &-= pane.views
    counts.clicks &-= pane.clicks
    counts.engagements &-= pane.engagements
    counts.conversions &-= pane.conversions
    revenueMicros -= Int128(pane.revenueMicros)
    paneCount &-= 1
  }
}
