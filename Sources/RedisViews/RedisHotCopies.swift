public import Dataflow
public import RedisClient

/// Removes the hot copies of a pipeline version that is no more.
public struct RedisHotCopies {
  private let settings: RedisSettings

  public init(_ settings: RedisSettings) { self.settings = settings }

  /// Removes every key of the version, of all generations and partitions.
  public func remove(_ pipeline: PipelineSpec) throws(RedisError) {
    let connection = try RedisConnection(settings)
    var cursor = "0"
    repeat {
      let reply = try connection.command(
        "SCAN", cursor, "MATCH", HotKeys.pattern(pipeline), "COUNT", "1000")
      guard let parts = reply.array, parts.count == 2, let next = parts[0].text,
        let keys = parts[1].array
      else { throw .unexpectedReply("SCAN gave no cursor and keys") }
      if !keys.isEmpty {
        var commands = RedisCommands()
        commands.begin(argumentCount: keys.count + 1)
        commands.argument("UNLINK")
        for key in keys { commands.argument(key.bytes ?? []) }
        _ = try connection.execute(commands)
      }
      cursor = next
    } while cursor != "0"
  }
}
