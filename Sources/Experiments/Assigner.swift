/// Which variant a person gets.
public struct Assignment: Sendable, Hashable {
  /// The number of the variant; nil where the person is not in the experiment: show what you would show
  /// without it.
  public var variant: Int?
  /// From 0 to ``Allocation/parts``, exclusive.
  public var bucket: Int
  /// The chances of each variant, of all persons, in parts of ``Allocation/parts``; none in force: empty.
  public var shares: [Int]
  /// Which allocation it is by, from 0; nil where none is in force.
  public var epoch: Int?
}

/// Assigns persons to the variants of one experiment. The same person gets the same variant for as long as
/// the allocation leaves its bucket where it is, from any process and by any SDK.
public struct Assigner: Sendable {
  public let experiment: Experiment
  /// By epoch.
  public let allocations: [Allocation]

  public init(_ experiment: Experiment) {
    self.experiment = experiment
    var allocations: [Allocation] = []
    for epoch in experiment.epochs {
      if var changed = allocations.last {
        changed.change(to: epoch.shares)
        allocations.append(changed)
      } else {
        allocations.append(Allocation(shares: epoch.shares))
      }
    }
    self.allocations = allocations
  }

  /// The epoch that is in force; nil before the first, and for what does not run.
  public func epoch(at now: Int64) -> Int? {
    guard case .running = experiment.status else { return nil }
    return experiment.epochs.lastIndex { $0.since <= now }
  }

  /// After the end everybody gets what was decided, and is in no experiment any more.
  public func assign(_ person: String, at now: Int64) -> Assignment {
    let bucket = PersonBucket.of(person, in: experiment.id)
    if case .stopped(_, let decision) = experiment.status {
      let variants = experiment.plan.variants
      return Assignment(
        variant: variants.firstIndex(of: decision.variant), bucket: bucket,
        shares: variants.map { $0 == decision.variant ? Allocation.parts : 0 }, epoch: nil)
    }
    guard let epoch = epoch(at: now) else {
      return Assignment(variant: nil, bucket: bucket, shares: [], epoch: nil)
    }
    return Assignment(
      variant: allocations[epoch].variant(ofBucket: bucket), bucket: bucket,
      shares: experiment.epochs[epoch].shares, epoch: epoch)
  }
}
