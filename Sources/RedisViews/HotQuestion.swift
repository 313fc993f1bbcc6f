import Dataflow
import Events
import Ports
import RedisClient
import Views

/// What one partition is asked, and how its answer reads.
struct HotQuestion: Sendable {
  let partition: Int
  let head: String
  private let filter: TupleFilter
  /// Stretches that are left after the seam: level, first start and end in seconds.
  private let stretches: [(level: WindowLevel, from: Int64, to: Int64)]

  init(partition: Int, head: String, segments: [Segment], seams: Seams, filter: TupleFilter) {
    self.partition = partition
    self.filter = filter
    self.head = head
    stretches = segments.compactMap { segment in
      let from = max(segment.from, seams[segment.level])
      guard from < segment.to else { return nil }
      return (
        segment.level, HotKeys.seconds(from) ?? HotKeys.secondsMin,
        HotKeys.seconds(segment.to) ?? HotKeys.secondsMin
      )
    }
  }

  // MARK: Which windows there are

  /// Of `HotScripts.plan`.
  var argumentCount: Int { 1 + 3 * stretches.count }

  func append(to commands: inout RedisCommands) {
    commands.argument(head)
    for stretch in stretches {
      commands.argument(stretch.level.name)
      commands.argument(stretch.from)
      commands.argument(stretch.to)
    }
  }

  // MARK: Their rows

  /// Reads header and rows of each partition in a transaction, all of them in one round trip; where the server has
  /// no memory left it takes none, so they are read one by one then, and hold if the header is the same afterwards.
  ///
  /// - Returns: the questions whose windows are not those of their plans any more; of these nothing is added.
  static func read(
    _ asked: [(question: HotQuestion, plan: HotPlan)], _ pipelineHash: UInt64,
    _ session: RedisConnection, into answer: inout HotAnswer
  ) throws(RedisError) -> [HotQuestion] {
    if asked.isEmpty { return [] }
    do throws(RedisError) {
      return try read(asked, pipelineHash, session, inTransaction: true, into: &answer)
    } catch .rejected("OOM", _) {
      return try read(asked, pipelineHash, session, inTransaction: false, into: &answer)
    }
  }

  private static func read(
    _ asked: [(question: HotQuestion, plan: HotPlan)], _ pipelineHash: UInt64,
    _ session: RedisConnection, inTransaction: Bool, into answer: inout HotAnswer
  ) throws(RedisError) -> [HotQuestion] {
    var commands = RedisCommands(capacity: 4_096)
    var ends: [Int] = []
    for (question, plan) in asked {
      question.append(plan, inTransaction: inTransaction, to: &commands)
      ends.append(commands.count)
    }
    return try session.execute(commands) { replies throws(RedisError) in
      for reply in replies { _ = try reply.get() }
      var changed: [HotQuestion] = []
      var begin = 0
      for ((question, plan), end) in zip(asked, ends) {
        let isRead = try question.take(
          replies[begin..<end], plan, pipelineHash, inTransaction: inTransaction, into: &answer)
        if !isRead { changed.append(question) }
        begin = end
      }
      return changed
    }
  }

  private func append(
    _ plan: HotPlan, inTransaction: Bool, to commands: inout RedisCommands
  ) {
    if inTransaction { commands.append("MULTI") }
    commands.append("HMGET", head, "stamp", "slot")
    for stretch in stretches {
      commands.begin(argumentCount: 4)
      commands.argument("ZRANGEBYSCORE")
      commands.argument(HotKeys.index(head: head, slot: plan.slot, level: stretch.level.name))
      commands.argument(stretch.from)
      commands.argument("(\(stretch.to)")
    }
    for window in plan.windows {
      commands.append(
        "HGETALL",
        HotKeys.window(
          head: head, slot: plan.slot, level: window.level.name, start: window.startText))
    }
    if inTransaction {
      commands.append("EXEC")
    } else {
      commands.append("HMGET", head, "stamp", "slot")
    }
  }

  /// - Returns: false where the windows are not those of the plan any more; nothing is added then.
  private func take(
    _ replies: ArraySlice<RedisReplyView>, _ plan: HotPlan, _ pipelineHash: UInt64,
    inTransaction: Bool, into answer: inout HotAnswer
  ) throws(RedisError) -> Bool {
    guard let last = replies.last else {
      throw .unexpectedReply("the hot copy's transaction gave no answer")
    }
    let parts =
      inTransaction ? (0..<(last.count ?? 0)).map { last[$0] } : Array(replies.dropLast())
    guard parts.count == 1 + stretches.count + plan.windows.count,
      let stored = parts[0].reply.array, stored.count == 2
    else { throw .unexpectedReply("the hot copy's transaction gave no answer") }
    if !inTransaction && last.reply != parts[0].reply { return false }
    let starts = parts[1...stretches.count].flatMap { $0.reply.array ?? [] }
    guard let stamp = stored[0].text, stored[1].text == plan.slot,
      starts.elementsEqual(plan.windows, by: { $0.text == $1.startText }),
      let header = HotStamp.decode(stamp, pipeline: pipelineHash)
    else { return false }
    for (window, reply) in zip(plan.windows, parts[(1 + stretches.count)...]) {
      try add(try reply.get(), of: window, watermark: header.watermark, to: &answer)
    }
    answer.headers[partition] = header
    return true
  }

  /// Rows that do not pass the filter are not even decoded: mostly they are nearly all.
  private func add(
    _ rows: RedisReplyView, of window: HotPlan.Window, watermark: Int64, to answer: inout HotAnswer
  ) throws(RedisError) {
    // A window becomes final without its rows being written again.
    let isFinal = window.start + window.level.length <= watermark
    for index in stride(from: 0, to: (rows.count ?? 0) - 1, by: 2) {
      guard let tuple = rows[index].bytes else {
        throw .unexpectedReply("a row of the hot copy can't be read")
      }
      guard filter.admits(tuple) else { continue }
      guard let text = rows[index + 1].bytes,
        var row = HotRowText.decode(text, level: window.level, start: window.start)
      else { throw .unexpectedReply("a row of the hot copy can't be read") }
      row.dimensionID = DimensionTuple.identifier(encoded: tuple)
      row.isFinal = row.isFinal || isFinal
      answer.rows.append(HotRow(row: row, tuple: Array(tuple)))
    }
  }
}

/// The windows of a partition's copy that a question is about.
struct HotPlan {
  struct Window {
    let level: WindowLevel
    let startText: String
    /// Microseconds since the epoch.
    let start: Int64
  }

  let header: HotHeader
  /// Where the copy lies.
  let slot: String
  let windows: [Window]
  /// Of all windows, when the plan was made.
  let rowCount: Int64

  /// - Returns: nil where there is no copy of this pipeline's declaration.
  init?(_ reply: RedisReply, _ pipelineHash: UInt64, rowCountMax: Int) throws(RedisError) {
    let reply = try reply.get()
    if case .null = reply { return nil }
    guard let parts = reply.array, parts.count >= 2, parts.count % 3 == 2,
      let stamp = parts[0].text, let slot = parts[1].text
    else { throw .unexpectedReply("the hot copy's script gave no stamp") }
    guard let header = HotStamp.decode(stamp, pipeline: pipelineHash) else { return nil }
    var windows: [Window] = []
    var rowCount: Int64 = 0
    for index in stride(from: 2, to: parts.count, by: 3) {
      guard let level = WindowLevel.allCases.first(where: { $0.name == parts[index].text }),
        let startText = parts[index + 1].text, let seconds = Int64(startText),
        let count = parts[index + 2].integer
      else { throw .unexpectedReply("a window of the hot copy can't be read") }
      windows.append(Window(level: level, startText: startText, start: seconds * 1_000_000))
      rowCount += count
    }
    guard rowCount <= rowCountMax else {
      throw .rejected(
        code: "TOOMANY",
        message:
          "a partition has more than \(rowCountMax) hot rows for this range: ask for a coarser"
          + " granularity")
    }
    self.header = header
    self.slot = slot
    self.windows = windows
    self.rowCount = rowCount
  }
}
