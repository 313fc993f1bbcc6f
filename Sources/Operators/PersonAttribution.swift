import Events
import Views

/// What clicks and conversions are the result of: an interval join within a person's history.
///
/// A click counts if an impression of the same content (site, campaign, content) lies at most the
/// look-back before it or at the same time. A conversion counts for the latest click at most the
/// look-back before it or at the same time; among clicks at one time that of the greater key is the
/// latest. It counts at its own time, for the click's tuple in the conversion's currency.
///
/// A touch that comes late changes only what lies between it and the next of its sort:
///
///     i ─── c₁ ── (i') ── c₂ ── i ── c₃      i' can only make c₂ count: c₃ has a later impression
///     c ─── v₁ ── (c') ── v₂ ── c ── v₃      c' can only take v₂ over
extension PersonHistories {
  /// Hands out what a touch means to itself and to later touches, before it is put in.
  @inline(__always)
  mutating func attribute(_ touch: KeptTouch, in timeline: PersonTimeline, place: Int) {
    switch touch.kind {
    case EventKind.impression.rawValue:
      if place < timeline.count || (place > 0 && timeline[place - 1].time == touch.time) {
        attributeLaterClicks(touch, in: timeline)
      }
    case EventKind.click.rawValue: attribute(click: touch, in: timeline, place: place)
    case EventKind.conversion.rawValue:
      attribute(conversion: touch, in: timeline, end: timeline.end(at: touch.time, from: place))
    default: break
    }
  }

  private mutating func attribute(
    conversion: KeptTouch, in timeline: PersonTimeline, end: Int
  ) {
    if conversion.isSettled { return }
    let earliest = conversion.time - policy.clickLookBack
    if let click = timeline.click(from: earliest, before: end) {
      emit(conversion: conversion, of: timeline[click], sign: 1)
    }
  }

  /// The clicks from the impression on, up to the next impression of the content, that no earlier one
  /// makes count.
  private mutating func attributeLaterClicks(_ impression: KeptTouch, in timeline: PersonTimeline) {
    let content = contents[Int(impression.tuple)]
    let first = timeline.first(at: impression.time, before: timeline.count)
    let before = timeline.impression(
      of: content, from: impression.time - policy.impressionLookBack, before: first,
      contents: contents)
    let covered = before.map { timeline[$0].time + policy.impressionLookBack } ?? .min
    var next = first
    while next < timeline.count,
      timeline[next].time - policy.impressionLookBack <= impression.time
    {
      let touch = timeline[next]
      if touch.isImpression && contents[Int(touch.tuple)] == content { break }
      next += 1
    }
    // An impression at the same time as a click counts, whatever their keys.
    let end = next < timeline.count ? timeline[next].time : .max
    var index = first
    while index < next {
      let click = timeline[index]
      if click.time >= end { break }
      if click.isClick && !click.isSettled && click.time > covered
        && contents[Int(click.tuple)] == content
      {
        emit(click, Outcomes(attributedClicks: 1))
      }
      index += 1
    }
  }

  /// True where the click counts: it is settled, or has an impression.
  private func isAttributed(_ click: KeptTouch, in timeline: PersonTimeline, from index: Int)
    -> Bool
  {
    click.isSettled
      || timeline.impression(
        of: contents[Int(click.tuple)], from: click.time - policy.impressionLookBack,
        before: timeline.end(at: click.time, from: index), contents: contents) != nil
  }

  private mutating func attribute(click: KeptTouch, in timeline: PersonTimeline, place: Int) {
    if isAttributed(click, in: timeline, from: place) {
      emit(click, Outcomes(attributedClicks: 1))
    }
    if place == timeline.count && (place == 0 || timeline[place - 1].time < click.time) { return }
    // Conversions from the click on belong to it up to the time of the next click.
    var next = place
    while next < timeline.count, timeline[next].time - policy.clickLookBack <= click.time,
      !timeline[next].isClick
    {
      next += 1
    }
    let end = next < timeline.count && timeline[next].isClick ? timeline[next].time : .max
    let before = timeline.click(from: click.time - policy.clickLookBack, before: place)
    var index = timeline.first(at: click.time, before: place)
    while index < next, timeline[index].time < end {
      let conversion = timeline[index]
      if conversion.isConversion && !conversion.isSettled {
        if let before, timeline[before].time >= conversion.time - policy.clickLookBack {
          emit(conversion: conversion, of: timeline[before], sign: -1)
        }
        emit(conversion: conversion, of: click, sign: 1)
      }
      index += 1
    }
  }

  /// Hands out, or takes back, everything that a person's touches count.
  mutating func emitAll(_ timeline: PersonTimeline, sign: Int64) {
    var start = 0
    while start < timeline.count {
      emit(session: start, in: timeline, sign: sign)
      start = timeline.sessionEnd(start, gap: policy.sessionGap) + 1
    }
    for index in 0..<timeline.count {
      let touch = timeline[index]
      if touch.isClick {
        if isAttributed(touch, in: timeline, from: index) {
          emit(touch, Outcomes(attributedClicks: sign))
        }
      } else if touch.isConversion && !touch.isSettled {
        let end = timeline.end(at: touch.time, from: index)
        if let click = timeline.click(from: touch.time - policy.clickLookBack, before: end) {
          emit(conversion: touch, of: timeline[click], sign: sign)
        }
      }
    }
  }

  private mutating func emit(conversion: KeptTouch, of click: KeptTouch, sign: Int64) {
    let slot = slot(of: Int(click.tuple), currencyOf: Int(conversion.tuple))
    emit(
      slot, conversion.time,
      Outcomes(
        attributedConversions: sign, attributedRevenueMicros: sign * conversion.revenueMicros))
  }

  /// The tuple of one slot with the currency of another's.
  mutating func slot(of slot: Int, currencyOf other: Int) -> Int {
    let own = tuples.bytes(slot)
    let wanted = tuples.bytes(other)
    let ownEnd = EncodedTuple.end(of: Dimension.currency.rawValue, in: own)
    let ownRest = EncodedTuple.end(of: Dimension.currency.rawValue + 1, in: own)
    let wantedStart = EncodedTuple.end(of: Dimension.currency.rawValue, in: wanted)
    let wantedEnd = EncodedTuple.end(of: Dimension.currency.rawValue + 1, in: wanted)
    let currency = UnsafeRawBufferPointer(rebasing: wanted[wantedStart..<wantedEnd])
    let isSame = own[ownEnd..<ownRest].elementsEqual(currency)
    if isSame { return slot }
    let rest = UnsafeRawBufferPointer(rebasing: own[ownRest...])
    let restStart = ownEnd + currency.count
    return withUnsafeTemporaryAllocation(byteCount: restStart + rest.count, alignment: 8) {
      bytes in
      bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: own[..<ownEnd]))
      UnsafeMutableRawBufferPointer(rebasing: bytes[ownEnd...]).copyMemory(from: currency)
      UnsafeMutableRawBufferPointer(rebasing: bytes[restStart...]).copyMemory(from: rest)
      return intern(UnsafeRawBufferPointer(bytes))
    }
  }

  /// Before a person's first touches leave state: what is attributed to them stays as it was counted.
  mutating func settle(_ timeline: PersonTimeline, dropped: Int) {
    guard dropped < timeline.count, let touches = timeline.touches else { return }
    let rest = PersonTimeline(touches: touches + dropped, count: timeline.count - dropped)
    let reach = timeline[dropped - 1].time + max(policy.clickLookBack, policy.impressionLookBack)
    var index = 0
    while index < rest.count && rest[index].time <= reach {
      let touch = rest[index]
      if touch.isClick && !touch.isSettled {
        let isCounted = isAttributed(touch, in: timeline, from: dropped + index)
        if isCounted && !isAttributed(touch, in: rest, from: index) {
          touches[dropped + index].isSettled = true
        }
      } else if touch.isConversion && !touch.isSettled {
        let earliest = touch.time - policy.clickLookBack
        let click = timeline.click(
          from: earliest, before: timeline.end(at: touch.time, from: dropped + index))
        if let click, click < dropped { touches[dropped + index].isSettled = true }
      }
      index += 1
    }
  }
}
