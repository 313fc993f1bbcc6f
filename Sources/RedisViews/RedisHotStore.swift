public import Dataflow
public import Ports
public import RedisClient
public import Views

/// Keeps the hot copy of one pipeline's windows in Redis.
///
/// An update is one script, so readers see all of it or nothing, and it is done only if the stored
/// header is, to the letter, the one that this owner wrote last: after a FLUSHALL, an old RDB or
/// another owner's work it is not, and the whole copy is written anew beside whatever is there and
/// swapped in (`rebuild`). An update whose answer was lost shows as `stale` the next time, too.
///
/// Blocks its thread for at most the settings' time limits; connects by itself and connects anew
/// after a failure. Not `Sendable`.
public final class RedisHotStore: HotStore {
  /// Rows of one script: a server that runs it answers nobody else for a few milliseconds.
  static let rowsPerScript = 4_000
  /// More rows in one script would hold everybody else up; a rebuild writes them in pieces.
  public let updateRowCountMax = 20_000

  private let settings: RedisSettings
  private let keys: HotKeys
  private let pipelineHash: UInt64
  private var connection: RedisConnection?

  public init(_ settings: RedisSettings, pipeline: PipelineSpec) {
    self.settings = settings
    keys = HotKeys(pipeline)
    pipelineHash = pipeline.hash
  }

  public func update(
    _ rows: [HotRow], stream: StreamPartition, previous: HotHeader, header: HotHeader,
    keepFrom: Seams
  ) throws(HotStoreError) {
    precondition(rows.count <= updateRowCountMax, "larger updates are rebuilds")
    let windows = HotWindows(rows[...])
    let answer = try evaluate(
      HotScripts.update, stream, argumentCount: 7 + windows.argumentCount
    ) { commands in
      commands.argument(HotStamp.encode(previous, pipeline: pipelineHash))
      commands.argument(HotStamp.encode(header, pipeline: pipelineHash))
      commands.argument(header.epoch)
      for level in WindowLevel.allCases {
        if let seconds = HotKeys.seconds(keepFrom[level]) {
          commands.argument(seconds)
        } else {
          commands.argument("")
        }
      }
      windows.append(to: &commands)
    }
    try check(answer)
  }

  public func rebuild(
    _ rows: [HotRow], stream: StreamPartition, header: HotHeader
  ) throws(HotStoreError) {
    let slot = try evaluate(HotScripts.begin, stream, argumentCount: 1) {
      $0.argument(header.epoch)
    }
    guard slot != "fenced" else { throw .fenced }
    var chunks: Int64 = 0
    var rest = rows[...]
    while !rest.isEmpty {
      let windows = HotWindows(rest.prefix(RedisHotStore.rowsPerScript))
      rest = rest.dropFirst(RedisHotStore.rowsPerScript)
      let answer = try evaluate(
        HotScripts.chunk, stream, argumentCount: 2 + windows.argumentCount
      ) { commands in
        commands.argument(slot)
        commands.argument(chunks)
        windows.append(to: &commands)
      }
      try check(answer)
      chunks += 1
    }
    let answer = try evaluate(HotScripts.swap, stream, argumentCount: 4) { commands in
      commands.argument(slot)
      commands.argument(chunks)
      commands.argument(header.epoch)
      commands.argument(HotStamp.encode(header, pipeline: pipelineHash))
    }
    try check(answer)
  }

  public func header(of stream: StreamPartition) throws(HotStoreError) -> HotHeader? {
    let key = keys.head(generation: stream.generation, partition: stream.partition)
    let stamp: String?
    do throws(RedisError) {
      stamp = try session().command("HGET", key, "stamp").text
    } catch {
      throw HotStoreError(error)
    }
    return stamp.flatMap { HotStamp.decode($0, pipeline: pipelineHash) }
  }

  private func evaluate(
    _ script: String, _ stream: StreamPartition, argumentCount: Int,
    _ arguments: (inout RedisCommands) -> Void
  ) throws(HotStoreError) -> String {
    let head = keys.head(generation: stream.generation, partition: stream.partition)
    do throws(RedisError) {
      let reply = try session().evaluate(script, keyCount: 1, argumentCount: 1 + argumentCount) {
        $0.argument(head)
        arguments(&$0)
      }
      guard let text = reply.text else { throw RedisError.unexpectedReply("a script gave no text") }
      return text
    } catch {
      throw HotStoreError(error)
    }
  }

  private func check(_ answer: String) throws(HotStoreError) {
    switch answer {
    case "done": return
    case "fenced": throw .fenced
    default: throw .stale
    }
  }

  private func session() throws(RedisError) -> RedisConnection {
    if let connection, connection.isConnected { return connection }
    connection = nil
    let opened = try HotSession.open(settings)
    connection = opened
    return opened
  }
}
