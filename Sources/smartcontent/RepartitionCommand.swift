import ArgumentParser
import Definitions
import Events
import Glibc
import JetStreamLog
import NATSClient

/// `smartcontent streams repartition --partitions N`: another number of partitions, beside live traffic.
struct RepartitionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repartition",
    abstract: "Divide persons among another number of partitions, while traffic goes on.",
    discussion: """
      A new generation of streams is made, then the old ones are closed. Collectors take their events \
      to the new streams by themselves. Processors finish the old generation, take its state over and \
      go on with the new one. Nothing is copied, and nothing old is removed: it is read first by all \
      that reads the log.

      Interrupted at any point, the next run with the same number carries on. Until then the events \
      that come after the first closed stream are kept, but not yet processed.
      """)

  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var servers: ServerOptions

  @Option(help: "How many partitions there are to be, 1 to 100.")
  var partitions: Int

  func validate() throws {
    guard (1...StreamDefinitions.partitionsMax).contains(partitions) else {
      throw ValidationError("--partitions is 1 to \(StreamDefinitions.partitionsMax)")
    }
  }

  func run() throws {
    _ = try Definitions(folder: try folder.find())  // Refuses here what processors would refuse.
    let log = JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "repartition")
    let setup = StreamSetup(log.admin)
    while true {
      let generations = try setup.generations()
      switch try Repartition.next(
        generations, to: partitions, usedBytes: try usedBytes(generations, log.admin))
      {
      case .shrink(let config): try update(config, "makes room", log.admin)
      case .create(let config):
        say("\(config.name): new")
        _ = try log.admin.create(config.name, config: config.json)
      case .close(let config): try update(config, "closed", log.admin)
      case .writeEnd(let config): try writeEnd(config, log.admin)
      case .done(let generation):
        print(
          """
          generation \(generation.number) has \(generation.partitions) partitions. In streams.yaml, \
          so that plan and apply know its limits:
          \(Repartition.declaration(of: generation))
          """)
        return
      }
    }
  }

  /// A line at once, so that one who watches knows how far it has come.
  private func say(_ line: String) {
    print(line)
    fflush(nil)
  }

  private func usedBytes(
    _ generations: StreamGenerations, _ admin: StreamAdmin
  ) throws -> [String: Int64] {
    var used: [String: Int64] = [:]
    for stream in generations.all.last?.streams ?? [] {
      used[stream.name] = Int64(clamping: try admin.info(stream.name)?.bytes ?? 0)
    }
    return used
  }

  private func update(_ config: StreamConfig, _ what: String, _ admin: StreamAdmin) throws {
    say("\(config.name): \(what)")
    _ = try admin.update(config.name, config: config.json)
  }

  private func writeEnd(_ config: StreamConfig, _ admin: StreamAdmin) throws {
    guard let generation = config.generation, let partition = config.partition else {
      preconditionFailure("a stream of a generation has its place in its metadata")
    }
    let probe = FrameEncoder.heartbeat(
      FrameHeader(
        kind: .heartbeat, generation: generation, partition: UInt32(partition),
        producer: Key128(low: UInt64.random(in: 1 ... .max), high: 0), epoch: 0,
        producerSequence: 1))
    guard try admin.isClosed(config.name, probe: probe), let info = try admin.info(config.name)
    else {
      throw ValidationError(
        "\(config.name) is not closed although it was; somebody changes the streams at the same time"
      )
    }
    var ended = config
    ended.end = info.lastSequence
    say("\(config.name): ends at frame \(info.lastSequence)")
    _ = try admin.update(config.name, config: ended.json)
  }
}
