public import Ports

/// The read model of one pipeline as queries see it: durable rows and their hot copy.
public struct ReadView: Sendable {
  /// The pipeline's name, as requests give it.
  public var name: String
  public var durable: any DurableViewReader
  public var hot: any HotViewReader
  /// Of the log whose positions are answered.
  public var generation: UInt32
  /// The log's partitions, from 0; the dead letters are none of them.
  public var partitions: [Int]

  /// - Parameter partitionCount: partitions of the generation, at least 1.
  public init(
    name: String, durable: any DurableViewReader, hot: any HotViewReader, generation: UInt32,
    partitionCount: Int
  ) {
    self.name = name
    self.durable = durable
    self.hot = hot
    self.generation = generation
    partitions = Array(0..<partitionCount)
  }
}
