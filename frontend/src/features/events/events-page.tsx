import { PageHeader } from "@/components/page";
import { texts } from "@/texts";
import { DeadLetters } from "./dead-letters";
import { Stream } from "./stream";
import { Subscriptions } from "./subscriptions";

const { events } = texts;

/** What happened, who is told, and what could not be delivered. */
export default function EventsPage() {
  return (
    <>
      <PageHeader title={events.title} lead={events.lead} />
      <div className="grid grid-cols-1 gap-5">
        <DeadLetters />
        <Subscriptions />
        <Stream />
      </div>
    </>
  );
}
