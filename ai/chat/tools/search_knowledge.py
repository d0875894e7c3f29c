"""Looking something up in the documents."""

from ai.chat.runs import Run
from ai.chat.tools.offering import Arguments, Offer, Text, Told
from ai.knowledge import searching

_LONGEST = 500  # characters of a question


class Question(Arguments):
    query: Text
    category: Text | None


def search(question: Question, run: Run) -> Told:
    found = searching.search(
        question.query[:_LONGEST],
        workspace=run.workspace,
        user=run.user,
        category=question.category or "",
        with_internal=run.member is not None,
    )
    passages = run.read(found)
    return Told({"found": len(passages)}, {"passages": passages})


OFFER = Offer(
    "search_knowledge",
    "Search the company's documents: products, prices, terms, answers. Cite what you use by its source number, as [1]. "
    "category narrows the search to one kind of document; null searches all.",
    Question,
    search,
)
